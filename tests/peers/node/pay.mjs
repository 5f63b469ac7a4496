// graphql-ws' own client: one mutation, whose result it prints.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const client = createClient({ url: process.argv[2], webSocketImpl: WebSocket });
for await (const result of client.iterate({ query: 'mutation { pay }' })) {
  console.log(JSON.stringify(result));
}
await client.dispose();
