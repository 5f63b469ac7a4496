"""GraphQL over WebSocket: one connection, the tasks that run it, and its sockets."""
