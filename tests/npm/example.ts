// What a strict client of the API may write without a cast or a "!".
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Customer = components["schemas"]["Customer"];
type ErrorCode = components["schemas"]["Problem"]["code"];

const client = createClient<paths>({
  baseUrl: "http://127.0.0.1:8000",
  headers: { Authorization: "Bearer …" },
});
const environment = "production" as const;

export async function customers(): Promise<Customer[]> {
  const all: Customer[] = [];
  let cursor: string | null = null;
  do {
    const query: { limit: number; cursor?: string } = { limit: 200, ...(cursor ? { cursor } : {}) };
    const { data, error, response } = await client.GET("/api/{environment}/v1/customers", {
      params: { path: { environment }, query },
    });
    if (error) {
      const code: ErrorCode = error.code;
      throw new Error(`${code}: ${error.detail} (${error.request_id})`);
    }
    const left = Number(response.headers.get("X-RateLimit-Remaining"));
    if (left === 0) await wait(Number(response.headers.get("X-RateLimit-Reset")));
    all.push(...data.data);
    cursor = data.has_more ? data.next_cursor : null;
  } while (cursor !== null);
  return all;
}

export async function create(name: string, idempotencyKey: string): Promise<string> {
  const { data, error } = await client.POST("/api/{environment}/v1/customers", {
    params: { path: { environment }, header: { "Idempotency-Key": idempotencyKey } },
    body: { name },
  });
  if (error) throw new Error(error.detail);
  const email: string = data.email;
  const status: "active" | "suspended" = data.status;
  return `${data.id} ${data.external_reference} ${email} ${status}`;
}

export async function finished(jobId: string): Promise<string> {
  const { data, error } = await client.GET("/api/{environment}/v1/jobs/{job_id}", {
    params: { path: { environment, job_id: jobId } },
  });
  if (error) throw new Error(error.detail);
  const queuedAt: string = data.queued_at;
  const attempt: number = data.attempt;
  const finishedAt: string | null = data.finished_at;
  return finishedAt ?? `${data.status} since ${queuedAt}, attempt ${attempt}, ${data.reason}`;
}

export async function licenses(): Promise<number> {
  const { data, error } = await client.GET("/api/{environment}/v1/licenses", {
    params: { path: { environment }, query: { status: "active" } },
  });
  if (error) throw new Error(error.detail);
  const seats: (number | null)[] = data.data.map((license) => license.seats);
  const expires: (string | null)[] = data.data.map((license) => license.expires_at);
  return seats.length + expires.length;
}

export async function refusals(): Promise<string[]> {
  const { data, error } = await client.GET("/api/{environment}/v1/logs", {
    params: { path: { environment } },
  });
  if (error) throw new Error(error.detail);
  return data.data
    .filter((log) => log.status >= 400)
    .map((log) => `${log.method.toUpperCase()} ${log.path.toLowerCase()}: ${log.code ?? "none"}`);
}

function wait(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
