// graphql-sse's own handler, for both of its modes.
// Listens on the file descriptor that it is given.
import { createServer } from 'node:http';

import { experimentalExecuteIncrementally } from 'graphql';
import { createHandler } from 'graphql-sse/lib/use/http';

import { schema } from './schema.mjs';

// The schema has @defer, with which graphql 17's plain execute() has nothing to do.
const handler = createHandler({ schema, execute: experimentalExecuteIncrementally });

createServer((request, response) => {
  handler(request, response).catch((error) => {
    if (response.headersSent) {
      response.destroy(); // the source broke
    } else {
      console.error(error);
      response.writeHead(500).end();
    }
  });
}).listen({ fd: Number(process.argv[2]) });
