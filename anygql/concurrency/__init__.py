"""Helpers for both event loops that anyio does not have."""
