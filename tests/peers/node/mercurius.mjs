// Mercurius has a folder of its own, since it needs a graphql that is older than the others'.
// Listens on the file descriptor that it is given.
import './mercurius/server.mjs';
