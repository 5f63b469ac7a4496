// Mercurius on Fastify: batches, GET, and subscriptions over WebSocket by both subprotocols.
// Listens on the file descriptor that it is given.
import Fastify from 'fastify';
import mercurius from 'mercurius';

import { resolvers, sdl, subscriptions } from '../schema.mjs';

const taken = {
  ...Object.fromEntries(
    Object.entries(resolvers).map(([type, fields]) => [type, wrapped(fields, (f) => f)]),
  ),
  Subscription: wrapped(subscriptions, (f) => ({ subscribe: f })),
};

function wrapped(fields, as) {
  const called = (f) => as((_source, args) => f(args));
  return Object.fromEntries(Object.entries(fields).map(([name, f]) => [name, called(f)]));
}

const app = Fastify();
app.register(mercurius, {
  schema: sdl,
  resolvers: taken,
  subscription: true,
  allowBatchedQueries: true,
});
await app.listen({ fd: Number(process.argv[2]) });
