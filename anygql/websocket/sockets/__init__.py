"""One WebSocket as a pipe of text messages, by one of two engines."""
