"""Interceptors: what goes around a session's calls and attempts, and before its subscriptions."""
