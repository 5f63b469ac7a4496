// Apollo Server: batches, automatic persisted queries, and @defer and @stream in the current
// format, for which Apollo Server 5 takes this one alpha of graphql 17 and no other version.
// Listens on the file descriptor that it is given.
import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';

import { schema } from './schema.mjs';

const server = new ApolloServer({
  schema,
  allowBatchedHttpRequests: true,
  includeStacktraceInErrorResponses: false,
  stopOnTerminationSignals: false,
});

await startStandaloneServer(server, { listen: { fd: Number(process.argv[2]) } });
