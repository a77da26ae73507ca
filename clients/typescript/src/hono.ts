// Hono middleware. The decision of an admitted request is `context.get("latchkey")`.

import type { Decision, Guard, Needs } from "./index.js";

interface Context {
  req: { raw: Request; method: string; url: string; header(name: string): string | undefined };
  res: Response;
  set(name: "latchkey", value: Decision): void;
}

export interface HonoOptions {
  /**
   * The caller's address, which only the server knows: with `@hono/node-server`,
   * `(context) => getConnInfo(context).remote.address`. Without it a key with networks is refused.
   */
  // The context is Hono's own, whose type would be a dependency.
  address?: (context: any) => string | undefined;
}

/** Asks about each request. */
export function guarded(guard: Guard, needs: Needs, options: HonoOptions = {}) {
  return async (context: Context, next: () => Promise<void>): Promise<Response | void> => {
    const { req } = context;
    const decision = await guard.judge(
      {
        authorization: req.header("authorization"),
        apiKey: req.header("x-api-key"),
        method: req.method,
        path: new URL(req.url).pathname,
        address: options.address?.(context),
        traceparent: req.header("traceparent"),
      },
      needs,
    );
    if (!decision.valid) {
      const body = req.method === "HEAD" ? null : JSON.stringify(decision.problem());
      return new Response(body, { status: decision.status, headers: decision.headers() });
    }
    context.set("latchkey", decision);
    await next();
    for (const [name, value] of Object.entries(decision.headers())) {
      if (!context.res.headers.has(name)) context.res.headers.set(name, value);
    }
  };
}
