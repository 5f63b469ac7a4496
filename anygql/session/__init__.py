"""A session: what keeps it connected, and what a user runs on it."""
