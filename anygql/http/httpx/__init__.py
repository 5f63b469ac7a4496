"""Requests by httpx or httpx2: the client, its errors, and one exchange at a time."""
