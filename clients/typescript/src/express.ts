// Express middleware. The decision of an admitted request is `response.locals.latchkey`.

import type { IncomingHttpHeaders } from "node:http";

import type { Guard, Needs } from "./index.js";

interface Request {
  method: string;
  originalUrl: string;
  headers: IncomingHttpHeaders;
  ip?: string | undefined;
}

/** The header, which Node.js joins with a comma where it is repeated. */
function traceparent(headers: IncomingHttpHeaders): string | undefined {
  const value = headers["traceparent"];
  return Array.isArray(value) ? value.join(",") : value;
}

interface Response {
  locals: Record<string, unknown>;
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body?: string): unknown;
}

/**
 * Asks about each request. The caller's address is `request.ip`: behind a proxy, set Express'
 * `trust proxy`.
 */
export function guarded(guard: Guard, needs: Needs) {
  return async (request: Request, response: Response, next: () => void): Promise<void> => {
    const { headers, method, originalUrl, ip } = request;
    const apiKey = headers["x-api-key"];
    const decision = await guard.judge(
      {
        authorization: headers.authorization,
        apiKey: Array.isArray(apiKey) ? apiKey.join(",") : apiKey,
        method,
        path: originalUrl.split("?", 1)[0] ?? "",
        address: ip,
        traceparent: traceparent(headers),
      },
      needs,
    );
    for (const [name, value] of Object.entries(decision.headers())) response.setHeader(name, value);
    if (decision.valid) {
      response.locals["latchkey"] = decision;
      next();
      return;
    }
    response.statusCode = decision.status;
    response.end(method === "HEAD" ? undefined : JSON.stringify(decision.problem()));
  };
}
