// Compiles only if the middlewares fit the frameworks' own types.
import { getConnInfo } from "@hono/node-server/conninfo";
import express from "express";
import { Hono } from "hono";
import { Guard, type Decision } from "latchkey-guard";
import { guarded as guardedExpress } from "latchkey-guard/express";
import { guarded as guardedHono } from "latchkey-guard/hono";

const guard = new Guard({ url: "https://latchkey.example.com", environment: "production", key: "…" });

express().use(guardedExpress(guard, { permission: "orders:read" }));

const app = new Hono<{ Variables: { latchkey: Decision } }>();
app.use(guardedHono(guard, { service: "orders" }, { address: (c) => getConnInfo(c).remote.address }));
app.get("/", (context) => {
  const keyId: string = context.get("latchkey").key?.id ?? "";
  return context.text(keyId);
});
