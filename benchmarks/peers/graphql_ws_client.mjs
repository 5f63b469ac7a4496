// graphql-ws in Node: the tasks "subscribe" and "execute" of this folder, in JavaScript.
// Standard input: one JSON object a line, as for `benchmarks.worker`. Standard output: the same.
import { createConnection } from "node:net";
import { createInterface } from "node:readline";
import { randomUUID } from "node:crypto";
import { createClient } from "../../tests/peers/node/node_modules/graphql-ws/dist/client.js";
import WebSocket from "../../tests/peers/node/node_modules/ws/wrapper.mjs";

// Wall and CPU time since it was made, in seconds.
function stopwatch() {
  const begun = performance.now();
  const used = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(used);
    return { wall: (performance.now() - begun) / 1000, cpu: (user + system) / 1e6 };
  };
}

function open(port) {
  return createClient({ url: `ws://127.0.0.1:${port}/`, webSocketImpl: WebSocket, lazy: true, lazyCloseTimeout: 60000 });
}

async function subscribe({ port, query, size, count }) {
  const client = open(port);
  const token = randomUUID();
  const control = createConnection(port, "127.0.0.1");
  await new Promise((done) => control.once("connect", done));
  let seen = -1, stop, last = 0;
  for await (const result of client.iterate({ query, variables: { size, count, group: 1, token } })) {
    if (seen === -1) {
      stop = stopwatch();
      control.end(`go ${token}\n`);
    } else {
      last = result.data.event.n;
    }
    seen += 1;
  }
  const times = stop();
  if (seen !== count || !Number.isInteger(last)) throw new Error(`${seen} events`);
  await client.dispose();
  return { operations: seen, ...times };
}

async function execute({ port, query, size, count, concurrency }) {
  const client = open(port);
  const one = async () => {
    for await (const result of client.iterate({ query, variables: { size } })) {
      if (result.data.event.n !== 0) throw new Error("another query's answer");
    }
  };
  for (let n = 0; n < 200; n += 1) await one();
  let left = count;
  const stop = stopwatch();
  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (left > 0) {
      left -= 1;
      await one();
    }
  }));
  const times = stop();
  await client.dispose();
  return { operations: count, ...times };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { task, ...params } = JSON.parse(line);
  let result;
  try {
    result = await (task === "subscribe" ? subscribe(params) : execute(params));
  } catch (error) {
    result = { failed: String(error) };
  }
  console.log(JSON.stringify(result));
}
