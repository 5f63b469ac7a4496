"""URLs: which ones can be used, and how they are shown in messages and logs."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ..exceptions import TransportInvalidURL

__all__ = ["check_url", "is_url", "redact"]


def redact(url: str) -> str:
    """Return a URL fit for messages: in one line, without user, password, query and fragment."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url.removeprefix("//")
    authority, path = _authority_and_path(rest)
    if "@" not in authority and "@" in rest and not re.fullmatch(_HOST_AND_PORT, authority):
        # The password has a character that ought to be escaped.
        authority, path = _authority_and_path(rest.rpartition("@")[2])
    shown = f"{scheme}{separator}{authority.rpartition('@')[2]}{path}"
    return shown.translate(_UNSEEN)


_HOST_AND_PORT = r"(\[[^\]]*\]|[^:\[\]]*)(:[0-9]*)?"

# Control characters and line breaks.
_UNSEEN = dict.fromkeys(
    [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029], "\N{REPLACEMENT CHARACTER}"
)


def _authority_and_path(rest: str) -> tuple[str, str]:
    rest = rest.partition("?")[0].partition("#")[0]
    authority, slash, path = rest.partition("/")
    return authority, slash + path


def is_url(value: object) -> bool:
    """Return whether this is a URL: a ``str``, or an object as yarl's, httpx's or pydantic's."""
    return isinstance(value, str) or (hasattr(value, "scheme") and hasattr(value, "host"))


def check_url(url: object, schemes: tuple[str, ...]) -> str:
    """Return ``url`` as text if it has one of the schemes, and a host.

    Raises:
        TransportInvalidURL: It has not. The message has none of the URL's secrets.
    """
    if not is_url(url):
        raise TransportInvalidURL(f"a URL is a str, not {type(url).__name__}")
    url = str(url)
    wanted = " or ".join(f"{scheme}://" for scheme in schemes)
    shown = redact(url)
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # its text may quote the password
        raise TransportInvalidURL(
            f"{shown!r} is not a URL: its host or port can't be read. Are special characters in "
            "user and password percent-encoded?"
        ) from None
    if url != url.strip():
        raise TransportInvalidURL(f"{shown!r}: the URL has blanks around it")
    if parts.scheme not in schemes:
        raise TransportInvalidURL(f"{shown!r}: the URL must begin with {wanted}")
    if not parts.hostname:
        raise TransportInvalidURL(f"{shown!r}: the URL names no host")
    return url
