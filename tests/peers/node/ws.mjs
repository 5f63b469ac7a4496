// graphql-ws' own server, with incremental delivery.
// Listens on the file descriptor that it is given.
import { createServer } from 'node:http';

import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

import { execute } from './incremental.mjs';
import { schema } from './schema.mjs';

const server = createServer((request, response) => response.writeHead(426).end());
useServer({ schema, execute }, new WebSocketServer({ server, path: '/graphql' }));
server.listen({ fd: Number(process.argv[2]) });
