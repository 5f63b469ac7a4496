// The clients that Phoenix and Absinthe have in JavaScript, for the frames that they send.
// node client.mjs URL TASK: does the task, prints each result as a line of JSON, and disconnects.
import { createRequire } from 'node:module';

import { Socket } from 'phoenix';
import WebSocket from 'ws';

const require = createRequire(import.meta.url);
const { cancel, create, observe, send } = require('@absinthe/socket');

const [url, task] = process.argv.slice(2);
globalThis.WebSocket = WebSocket;
const say = (value) => console.log(JSON.stringify(value));

const options = {
  token: { params: { user: 'a+b c' }, authToken: 's3cret' },
  heartbeat: { heartbeatIntervalMs: 20 },
};
const phoenix = new Socket(url, { transport: WebSocket, ...options[task] });
const absinthe = create(phoenix);

function ask(operation, variables) {
  return new Promise((resolve) => {
    const notifier = send(absinthe, { operation, variables });
    const fail = (error) => resolve({ error: error.message });
    observe(absinthe, notifier, { onAbort: fail, onError: fail, onResult: resolve });
  });
}

function subscribe(operation, variables, enough) {
  return new Promise((resolve) => {
    const notifier = send(absinthe, { operation, variables });
    observe(absinthe, notifier, {
      onAbort: resolve,
      onResult: (result) => {
        say(result);
        // Its notifiers are replaced as they change.
        enough -= 1;
        if (enough === 0) resolve(absinthe.notifiers.find((n) => n.request === notifier.request));
      },
    });
  });
}

const untilQuiet = () => new Promise((resolve) => setTimeout(resolve, 100));

const tasks = {
  async query() {
    say(await ask('query ($name: String!) { hello(name: $name) }', { name: 'Ann' }));
    say(await ask('{ nothing }'));
  },
  async mutation() {
    say(await ask('mutation ($n: Int!) { increment(by: $n) }', { n: 3 }));
  },
  async subscription() {
    const notifier = await subscribe(
      'subscription ($from: Int!) { countdown(from: $from) }',
      { from: 2 },
      3,
    );
    cancel(absinthe, notifier);
    await untilQuiet();
  },
  async token() {
    say(await ask('{ hello }', {}));
  },
  async heartbeat() {
    say(await ask('{ hello }', {}));
    await untilQuiet();
  },
  async leave() {
    phoenix.connect();
    const channel = phoenix.channel('__absinthe__:control');
    await new Promise((resolve) => channel.join().receive('ok', resolve));
    await new Promise((resolve) => channel.leave().receive('ok', resolve));
  },
};

await tasks[task]();
await new Promise((resolve) => phoenix.disconnect(resolve));
