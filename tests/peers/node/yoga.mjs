// GraphQL Yoga: batches, uploads, @defer and @stream, subscriptions over server-sent events.
// Listens on the file descriptor that it is given.
import { createServer } from 'node:http';

import { useDeferStream } from '@graphql-yoga/plugin-defer-stream';
import { createYoga } from 'graphql-yoga';

import { schema } from './schema.mjs';

const yoga = createYoga({
  schema,
  batching: true,
  graphiql: false,
  landingPage: false,
  logging: false,
  plugins: [useDeferStream()],
});

createServer(yoga).listen({ fd: Number(process.argv[2]) });
