"""AWS AppSync: its ways to authorize, its real-time protocol, and a transport for both its URLs."""

from __future__ import annotations

from ..net.authorization import Authorization
from .auth import IAM, ApiKey, Token
from .protocol import AppSync

__all__ = ["IAM", "ApiKey", "AppSync", "Authorization", "Token"]
