"""Credentials that are refreshed: what users see, the token, and what sessions do with it."""
