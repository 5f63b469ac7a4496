"""AWS AppSync: its ways to authorize, its real-time protocol, and a transport for both endpoints.

The protocol and the transport are imported when they are first used, so that a command line or a
test server need not load what it doesn't need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from ..net.authorization import Authorization
    from .auth import IAM, ApiKey, Token
    from .protocol import AppSync
    from .transport import AppSyncTransport

#: The module of each name; type checkers read the imports above.
_MODULES = {
    "..net.authorization": ("Authorization",),
    ".auth": ("IAM", "ApiKey", "Token"),
    ".protocol": ("AppSync",),
    ".transport": ("AppSyncTransport",),
}
__getattr__, __dir__ = lazy_names(__name__, _MODULES)

__all__ = ["IAM", "ApiKey", "AppSync", "AppSyncTransport", "Authorization", "Token"]
