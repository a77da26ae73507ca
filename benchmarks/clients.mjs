// Times `guard.verify` of the TypeScript client, one question after the other; prints microseconds.

const { CLIENT, LATCHKEY_URL, ASKING, PRESENTED, ROUNDS, REQUESTS } = process.env;
const { Guard } = await import(CLIENT);
const guard = new Guard({ url: LATCHKEY_URL, environment: "production", key: ASKING });
const question = { service: "orders", method: "GET", path: "/v1/orders/42" };

async function ask() {
  const began = performance.now();
  const decision = await guard.verify(PRESENTED, question);
  if (!decision.valid) throw new Error(decision.code);
  return (performance.now() - began) * 1000;
}

for (let warm = 0; warm < 50; warm += 1) await ask();
const times = [];
for (let number = 0; number < Number(ROUNDS) * Number(REQUESTS); number += 1) times.push(await ask());
console.log(JSON.stringify(times));
