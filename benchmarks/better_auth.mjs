// better-auth verifies one API key, with its rate limit, again and again. Prints how many a second in
// turn, and with eight at once.
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { apiKey } from "@better-auth/api-key";
import pg from "pg";

const database = new pg.Pool({ connectionString: process.env.DATABASE_URL });
const options = {
  database,
  secret: "benchmark-benchmark-benchmark-benchmark",
  baseURL: "http://localhost",
  emailAndPassword: { enabled: true },
  plugins: [apiKey({ rateLimit: { enabled: true, timeWindow: 60_000, maxRequests: 1_000_000_000 } })],
};
const auth = betterAuth(options);
await (await getMigrations(options)).runMigrations();
const { user } = await auth.api.signUpEmail({
  body: { name: "Bench", email: "bench@example.com", password: "benchmark-benchmark" },
});
const { key } = await auth.api.createApiKey({ body: { userId: user.id, name: "bench" } });
async function verify() {
  const answer = await auth.api.verifyApiKey({ body: { key } });
  if (!answer.valid) throw new Error(JSON.stringify(answer));
}
async function rate(connections, seconds) {
  const ends = performance.now() + seconds * 1000;
  let count = 0;
  await Promise.all(Array.from({ length: connections }, async () => {
    while (performance.now() < ends) { await verify(); count++; }
  }));
  return count / seconds;
}
const seconds = Number(process.env.BENCH_SECONDS ?? 3);
await rate(1, 1);
console.log(JSON.stringify([await rate(1, seconds), await rate(8, seconds)]));
await database.end();
