// The schema that every server here serves.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

import { buildSchema, GraphQLError } from 'graphql';

export const sdl = `
  directive @defer(if: Boolean! = true, label: String) on FRAGMENT_SPREAD | INLINE_FRAGMENT
  directive @stream(if: Boolean! = true, label: String, initialCount: Int! = 0) on FIELD

  scalar Upload

  type Query {
    hello(name: String = "world"): String!
    add(a: Int!, b: Int!): Int!
    fail: String
    broken: String!
    slow(seconds: Float! = 0.1): String!
    counter: Int!
    item: Item!
    letters: [String!]!
    "How many subscriptions with this tag run."
    active(tag: String!): Int!
  }

  type Item {
    name: String!
    details: Details!
  }

  type Details {
    weight: Int!
    colour: String!
    secret: String
  }

  type Mutation {
    increment: Int!
    upload(file: Upload!): File!
    uploads(files: [Upload!]!): [File!]!
  }

  type File {
    name: String!
    type: String!
    size: Int!
    sha256: String!
  }

  type Subscription {
    countdown(from: Int!, delay: Float! = 0.01, tag: String): Int!
    "Counts down to 1, and then throws."
    crash(from: Int!): Int!
  }
`;

export const schema = buildSchema(sdl);

let count = 0;
const running = new Map();

function ran(tag, change) {
  running.set(tag, (running.get(tag) ?? 0) + change);
}

async function describe(promise) {
  const file = await promise;
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of file.stream()) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { name: file.name, type: file.type, size, sha256: hash.digest('hex') };
}

async function* countdown({ from, delay, tag }) {
  ran(tag, 1);
  try {
    for (let left = from; left >= 0; left--) {
      yield { countdown: left };
      await sleep(delay * 1000);
    }
  } finally {
    ran(tag, -1);
  }
}

async function* crash({ from }) {
  for (let left = from; left > 0; left--) yield { crash: left };
  throw new Error('the source broke');
}

async function* letters() {
  for (const letter of ['a', 'b', 'c', 'd']) {
    yield letter;
    await sleep(20);
  }
}

export const subscriptions = { countdown, crash };

export const resolvers = {
  Query: {
    hello: ({ name }) => `Hello, ${name}!`,
    add: ({ a, b }) => a + b,
    fail: () => {
      throw new GraphQLError('failed on purpose', { extensions: { code: 'ON_PURPOSE' } });
    },
    broken: () => {
      throw new GraphQLError('broken on purpose');
    },
    slow: async ({ seconds }) => {
      await sleep(seconds * 1000);
      return 'at last';
    },
    counter: () => count,
    item: () => ({ name: 'lamp' }),
    letters,
    active: ({ tag }) => running.get(tag) ?? 0,
  },
  Item: {
    details: async () => {
      await sleep(50);
      return { weight: 12, colour: 'red' };
    },
  },
  Details: {
    secret: () => {
      throw new GraphQLError('kept secret');
    },
  },
  Mutation: {
    increment: () => ++count,
    upload: ({ file }) => describe(file),
    uploads: ({ files }) => Promise.all(files.map(describe)),
  },
};

for (const [type, fields] of Object.entries(resolvers)) {
  for (const [name, resolve] of Object.entries(fields)) {
    schema.getType(type).getFields()[name].resolve = (_source, args) => resolve(args);
  }
}
const fields = schema.getSubscriptionType().getFields();
for (const [name, subscribe] of Object.entries(subscriptions)) {
  fields[name].subscribe = (_source, args) => subscribe(args);
}
