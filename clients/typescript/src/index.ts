// Asks a Latchkey whether a request to an API of yours may pass.
//
// Every request is asked about (`POST keys/verify`), so that a revoke binds on the next one.
// Whatever keeps Latchkey from answering refuses the request with a 503.

import { createHmac, randomBytes } from "node:crypto";

import { readCredential } from "./credentials.js";
import { Decision, refusal, unavailable, type Verdict } from "./decision.js";

export { Decision, type Key, type Limits, type Problem, type Verdict } from "./decision.js";

const MAX_URI_LENGTH = 8_000;
const MAX_KEPT = 10_000;
// W3C Trace Context §3.2, with what a later version may add. Latchkey reads it to the letter.
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]{0,200})?$/;
const MAX_ANSWER_LENGTH = 1_000_000;
// What may stand in a header field between quotes (RFC 6750 §3), and nothing that ends the line.
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/;

export interface GuardOptions {
  /** Latchkey's address, as `https://latchkey.example.com`. */
  url: string;
  /** The environment whose keys are judged. */
  environment: string;
  /** A key of that environment with `keys:verify`. */
  key: string;
  /** Milliseconds to wait for a decision; 1,000 unless you say otherwise. */
  timeout?: number;
  /**
   * Seconds for which an admission is kept and not asked again. **A revoke then takes that long to
   * bind, and what is kept counts against no limit.** 0 unless you say otherwise.
   */
  maxAge?: number;
  /** Is told why there was no decision, and never of a credential; `console.error` by default. */
  onError?: (message: string) => void;
}

/** What a credential is to be good for; the fields are those of `keys/verify`. */
export interface Question {
  permission?: string;
  service?: string;
  method?: string;
  path?: string;
  address?: string;
  cost?: number;
  count?: boolean;
}

/** What a middleware asks about each request: the rules of a service, or one permission. */
export type Needs = { service: string } | { permission: string } | { anyKey: true };

/** A request as a framework's middleware knows it. `path` is as it was sent, without the query. */
export interface IncomingRequest {
  authorization: string | undefined;
  apiKey: string | undefined;
  method: string;
  path: string;
  address: string | undefined;
  /** Its `traceparent` header (W3C Trace Context). */
  traceparent?: string | undefined;
}

export class Guard {
  readonly environment: string;
  readonly #address: string;
  readonly #headers: Record<string, string>;
  readonly #timeout: number;
  readonly #maxAge: number;
  readonly #report: (message: string) => void;
  readonly #secret = randomBytes(32);
  readonly #kept = new Map<string, { until: number; decision: Decision }>();

  constructor(options: GuardOptions) {
    const { url, environment, key } = options;
    if (!/^https?:\/\//.test(url)) {
      throw new TypeError("The url is no HTTP address. Write it as https://latchkey.example.com.");
    }
    if (!/^[A-Za-z0-9_-]+$/.test(environment)) {
      throw new TypeError("The environment is no name. Write it as production.");
    }
    if (!key) throw new TypeError("There is no key. Create one with the permission keys:verify.");
    this.environment = environment;
    this.#address = `${url.replace(/\/+$/, "")}/api/${environment}/v1/keys/verify`;
    this.#headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
    this.#timeout = options.timeout ?? 1_000;
    this.#maxAge = options.maxAge ?? 0;
    this.#report = options.onError ?? ((message) => console.error(message));
  }

  /**
   * Decides about a credential. It does not throw: without an answer the decision is a 503. By the
   * request's `traceparent` the decision is found in Latchkey's request log.
   */
  async verify(credential: string, question: Question = {}, traceparent = ""): Promise<Decision> {
    const body = JSON.stringify({ ...question, key: credential });
    const kept = this.#find(body);
    if (kept !== undefined) return kept;
    let decision: Decision;
    try {
      decision = await this.#ask(body, traceparent);
    } catch (error) {
      this.#report(`Latchkey did not answer: ${error instanceof Error ? error.name : "unknown"}`);
      return unavailable(this.environment);
    }
    if (decision.valid) this.#keep(body, decision);
    return decision;
  }

  /** Decides about a request: reads its credential, and asks for what the request needs. */
  async judge(request: IncomingRequest, needs: Needs): Promise<Decision> {
    const credential = readCredential(request.authorization, request.apiKey);
    if (credential === null) {
      const detail = "Send the key once, in either the Authorization or the X-API-Key header.";
      return refusal(this.environment, 400, "multiple_credentials", detail);
    }
    const question: Question = request.address === undefined ? {} : { address: request.address };
    if ("service" in needs) {
      if (request.path.length > MAX_URI_LENGTH) {
        const detail = "The address is too long. Send at most 8,000 bytes.";
        return refusal(this.environment, 414, "uri_too_long", detail);
      }
      Object.assign(question, { service: needs.service, method: request.method, path: request.path });
    } else if ("permission" in needs) {
      question.permission = needs.permission;
    }
    return this.verify(credential, question, request.traceparent);
  }

  async #ask(body: string, traceparent: string): Promise<Decision> {
    const headers = TRACEPARENT.test(traceparent) ? { ...this.#headers, traceparent } : this.#headers;
    const response = await fetch(this.#address, {
      method: "POST",
      headers,
      body,
      redirect: "error",
      signal: AbortSignal.timeout(this.#timeout),
    });
    const text = await response.text();
    if (text.length > MAX_ANSWER_LENGTH) throw new RangeError("The answer is too long.");
    const answer: unknown = JSON.parse(text);
    if (response.status !== 200 || !isVerdict(answer)) {
      const code = response.status === 200 ? "" : (answer as { code?: unknown } | null)?.code;
      this.#report(`Latchkey did not decide: status ${response.status} ${String(code)}`);
      return unavailable(this.environment);
    }
    return new Decision(answer, this.environment, response.headers.get("X-Request-ID") ?? "");
  }

  #find(body: string): Decision | undefined {
    if (this.#maxAge <= 0) return undefined;
    const kept = this.#kept.get(this.#digest(body));
    return kept !== undefined && kept.until > performance.now() ? kept.decision : undefined;
  }

  #keep(body: string, decision: Decision): void {
    if (this.#maxAge <= 0) return;
    this.#kept.set(this.#digest(body), { until: performance.now() + this.#maxAge * 1_000, decision });
    const oldest = this.#kept.keys().next();
    if (this.#kept.size > MAX_KEPT && !oldest.done) this.#kept.delete(oldest.value);
  }

  #digest(body: string): string {
    return createHmac("sha256", this.#secret).update(body).digest("base64");
  }
}

/** Whether an answer is a verdict that is whole and does not contradict itself. */
function isVerdict(answer: unknown): answer is Verdict {
  const { valid, code, status, detail, key, permission, remaining, retry_after } = (answer ??
    {}) as Partial<Verdict>;
  return (
    typeof detail === "string" &&
    typeof code === "string" &&
    typeof status === "number" &&
    typeof valid === "boolean" &&
    valid === (code === "valid") &&
    (valid ? status === 200 : status >= 400 && status < 600) &&
    (key === null || (typeof key?.id === "string" && hasNumbers(key.limits))) &&
    (permission === null || (typeof permission === "string" && SCOPE.test(permission))) &&
    (remaining === null || hasNumbers(remaining)) &&
    (retry_after === null || typeof retry_after === "number")
  );
}

function hasNumbers(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.values(value).every(Number.isInteger);
}
