// graphql-sse's own handler, for both of its modes.
// Listens on the file descriptor that it is given.
import { createServer } from 'node:http';

import { createHandler } from 'graphql-sse/lib/use/http';

import { execute } from './incremental.mjs';
import { schema } from './schema.mjs';

const handler = createHandler({ schema, execute });

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
