"""Errors as AppSync writes them: with a type, a code, or both."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["error_code", "error_type", "is_unauthorized"]

_UNAUTHORIZED_TYPE = "UnauthorizedException"
_UNAUTHORIZED_CODE = 401
_EXPIRED = re.compile(r"\btoken\b.{0,20}\bexpired\b", re.IGNORECASE)


def error_type(error: Mapping[str, Any]) -> str:
    """Return the ``errorType`` without what AWS may write around it; ``""`` if there is none.

    That is the name of a Java package, and a URL: ``"com.amazonaws…#BadRequestException:https:…"``.
    """
    return _text(error.get("errorType")).partition(":")[0].rpartition("#")[2]


def error_code(error: Mapping[str, Any]) -> int | None:
    """Return the ``errorCode``, if there is one. AppSync writes it as a number or as a text."""
    text = str(error.get("errorCode"))
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def is_unauthorized(error: Mapping[str, Any], *, is_appsync: bool = False) -> bool:
    """Return whether an error refuses the credentials.

    Args:
        error: The error.
        is_appsync: Whether AppSync has surely written it: then its message alone may say so.
    """
    kind, code = error_type(error), error_code(error)
    if kind == _UNAUTHORIZED_TYPE or code == _UNAUTHORIZED_CODE:
        return True
    is_appsync = is_appsync or bool(kind) or code is not None
    return is_appsync and _EXPIRED.search(_text(error.get("message"))) is not None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
