// graphql-ws' own server, which wants a token in connection_init: that of the last `x-issue` header.
// `?closes` has it close connections whose token is replaced; else their next operation is refused.
// Listens on the file descriptor that it is given.
import { createServer } from 'node:http';

import { GraphQLError } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

import { execute } from './incremental.mjs';
import { schema } from './schema.mjs';

let good = '';
const closed = new Set();

function isGood({ connectionParams }) {
  return good !== '' && connectionParams?.Authorization === `Bearer ${good}`;
}

const server = createServer((request, response) => {
  good = request.headers['x-issue'];
  for (const socket of closed) socket.close(4401, 'Token expired');
  closed.clear();
  response.writeHead(204).end();
});
useServer(
  {
    schema,
    execute,
    onConnect: (context) => {
      if (!isGood(context)) return false;
      if (context.extra.request.url.endsWith('?closes')) closed.add(context.extra.socket);
      return true;
    },
    onSubscribe: (context) =>
      isGood(context)
        ? undefined
        : [new GraphQLError('log in first', { extensions: { code: 'UNAUTHENTICATED' } })],
  },
  new WebSocketServer({ server, path: '/graphql' }),
);
server.listen({ fd: Number(process.argv[2]) });
