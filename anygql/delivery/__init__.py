"""From a connection to its consumer, whatever the connection is made of."""
