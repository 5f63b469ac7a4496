// Node's own HTTP server, which closes a connection that is idle for 2 s, and says so.
// Listens on the file descriptor that it is given.
import { createServer } from 'node:http';

const server = createServer({ keepAliveTimeout: 2000 }, (request, response) => {
  request.resume().on('end', () => {
    response.setHeader('content-type', 'application/json');
    response.end('{"data": {"hello": "Hello, world!"}}');
  });
});

server.listen({ fd: Number(process.argv[2]) });
