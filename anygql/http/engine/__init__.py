"""Our own HTTP/1.1 client: a pool of connections, each of which ends when it is interrupted."""
