// Apollo Server, which wants a token with each request: that of the last `x-issue` header.
// Listens on the file descriptor that it is given.
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { GraphQLError } from 'graphql';

import { schema } from './schema.mjs';

let good = '';

async function context({ req }) {
  if ('x-issue' in req.headers) good = req.headers['x-issue'];
  else if (!good || req.headers.authorization !== `Bearer ${good}`) {
    throw new GraphQLError('log in first', {
      extensions: { code: 'UNAUTHENTICATED', http: { status: Number(req.headers['x-status'] ?? 401) } },
    });
  }
  return {};
}

const server = new ApolloServer({
  schema,
  allowBatchedHttpRequests: true,
  stopOnTerminationSignals: false,
});

await startStandaloneServer(server, { context, listen: { fd: Number(process.argv[2]) } });
