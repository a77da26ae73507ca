// What Latchkey decided about a request, and the answer to give where it refused.

export type Limits = Readonly<Record<string, number>>;

/** The fields of the caller's key, as `GET key` answers them. */
export interface Key {
  readonly id: string;
  readonly name: string;
  readonly environment: string;
  readonly status: string;
  readonly permissions: readonly string[];
  readonly customer_scope: "all" | "selected";
  readonly customers: readonly string[];
  readonly limits: Limits;
  readonly networks: readonly string[];
  readonly expires_at: string | null;
  readonly last_used_at: string | null;
  readonly created_at: string;
}

/** The answer of `POST keys/verify`. */
export interface Verdict {
  readonly valid: boolean;
  readonly code: string;
  readonly status: number;
  readonly detail: string;
  readonly key: Key | null;
  readonly permission: string | null;
  readonly remaining: Limits | null;
  readonly retry_after: number | null;
}

/** Problem details (RFC 9457). */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: string;
  request_id: string;
  required_permission?: string;
  key_environment?: string;
  endpoint_environment?: string;
}

const PROBLEM_TYPE = "urn:latchkey:problem:";
const RETRY_AFTER_SECONDS = 2;
// Titles and lengths of windows as Latchkey gives them; `keys/verify` tells neither.
const TITLES: Readonly<Record<string, string>> = {
  ambiguous_path: "The path can be read in more than one way",
  multiple_credentials: "More than one credential was sent",
  key_missing: "No API key was sent",
  key_invalid: "The API key is not valid",
  key_revoked: "The API key was revoked",
  key_expired: "The API key has expired",
  environment_mismatch: "The API key belongs to another environment",
  permission_denied: "The API key lacks a permission",
  address_not_allowed: "The API key may not be used from this address",
  service_disabled: "The service is disabled",
  no_rule: "No rule of the service matches the request",
  uri_too_long: "The address is too long",
  rate_limited: "The rate limit is used up",
  too_many_failures: "Too many refused requests from this address",
  unavailable: "A service this API depends on is down",
};
const WINDOW_SECONDS: Readonly<Record<string, number>> = { minute: 60, hour: 3600, day: 86_400 };

/** Whether a request may pass, and what to answer where it may not. */
export class Decision {
  constructor(
    readonly verdict: Verdict,
    readonly environment: string,
    readonly requestId: string,
  ) {}

  get valid(): boolean {
    return this.verdict.valid;
  }

  /** What to answer: 200 where the request may pass. */
  get status(): number {
    return this.verdict.status;
  }

  /** `valid`, or the code of the problem. */
  get code(): string {
    return this.verdict.code;
  }

  /** The caller's key; null unless its secret matched. */
  get key(): Key | null {
    return this.verdict.key;
  }

  /** The problem details that Latchkey's guard would answer. */
  problem(): Problem {
    const { code, status, detail, permission, key } = this.verdict;
    const problem: Problem = {
      type: PROBLEM_TYPE + code,
      title: TITLES[code] ?? "The request was refused",
      status,
      detail,
      code,
      request_id: this.requestId,
    };
    if (code === "permission_denied" && permission !== null) problem.required_permission = permission;
    if (code === "environment_mismatch" && key !== null) {
      problem.key_environment = key.environment;
      problem.endpoint_environment = this.environment;
    }
    return problem;
  }

  /** The header fields for the answer to the caller, admitted or refused. */
  headers(): Record<string, string> {
    const { valid, code, status, key, remaining, retry_after } = this.verdict;
    const headers: Record<string, string> = {};
    if (this.requestId) headers["X-Request-ID"] = this.requestId;
    if (key !== null && remaining !== null) {
      const windows = Object.keys(remaining).filter(
        (name) => name in key.limits && name in WINDOW_SECONDS,
      );
      headers["RateLimit-Policy"] = windows
        .map((name) => `"${name}";q=${key.limits[name]};w=${WINDOW_SECONDS[name]}`)
        .join(", ");
      headers["RateLimit"] = windows.map((name) => `"${name}";r=${remaining[name]}`).join(", ");
    }
    if (valid) return headers;
    headers["Content-Type"] = "application/problem+json";
    headers["Cache-Control"] = "no-store";
    if (retry_after !== null) headers["Retry-After"] = String(retry_after);
    if (status === 401 || status === 403) headers["WWW-Authenticate"] = this.challenge(code, status);
    return headers;
  }

  /** The `WWW-Authenticate` value (RFC 6750 §3). */
  private challenge(code: string, status: number): string {
    const challenge = `Bearer realm="${this.environment}"`;
    if (code === "permission_denied") {
      const { permission } = this.verdict;
      return `${challenge}, error="insufficient_scope"${permission ? `, scope="${permission}"` : ""}`;
    }
    return status === 401 && code !== "key_missing" ? `${challenge}, error="invalid_token"` : challenge;
  }
}

/** A decision that was made without asking Latchkey. */
export function refusal(
  environment: string,
  status: number,
  code: string,
  detail: string,
  retryAfter: number | null = null,
): Decision {
  const nothing = { key: null, permission: null, remaining: null };
  const verdict = { valid: false, code, status, detail, retry_after: retryAfter, ...nothing };
  return new Decision(verdict, environment, "");
}

/** The decision about a request that nobody could judge. */
export function unavailable(environment: string): Decision {
  const detail = "The request was not processed. Try it again in a few seconds.";
  return refusal(environment, 503, "unavailable", detail, RETRY_AFTER_SECONDS);
}
