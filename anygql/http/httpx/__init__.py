"""What is there for httpx and httpx2, the user's client or our own."""
