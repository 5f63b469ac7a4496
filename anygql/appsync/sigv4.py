"""AWS Signature Version 4: the headers that sign one POST request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from .urls import host_of

__all__ = ["Credentials", "amz_date", "signed_headers"]

_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(NamedTuple):
    """AWS credentials. Their ``repr`` shows nothing of them."""

    access_key: str
    secret_key: str
    token: str | None = None

    def __repr__(self) -> str:
        return "Credentials(…)"


def amz_date() -> str:
    """Return the time, as AWS writes it."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def signed_headers(
    credentials: Credentials,
    url: str,
    body: bytes,
    *,
    region: str,
    date: str,
    headers: Mapping[str, str] | None = None,
    service: str = "appsync",
) -> dict[str, str]:
    """Return the headers of a signed POST request, ``host`` among them.

    Args:
        credentials: Whose signature it is.
        url: The URL of the request.
        body: The body of the request.
        region: The region of the service.
        date: The time of the signature, from ``amz_date``.
        headers: Other headers to sign. Default: none.
        service: The name of the service.
    """
    signed = {**(headers or {}), "host": host_of(url), "x-amz-date": date}
    if credentials.token:
        signed["X-Amz-Security-Token"] = credentials.token
    names, request = _canonical_request(url, signed, body)
    scope = [date[:8], region, service, "aws4_request"]
    text = "\n".join([_ALGORITHM, date, "/".join(scope), _sha256(request.encode())])
    key = f"AWS4{credentials.secret_key}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    signed["Authorization"] = (
        f"{_ALGORITHM} Credential={'/'.join([credentials.access_key, *scope])}, "
        f"SignedHeaders={names}, Signature={signature}"
    )
    return signed


def _canonical_request(url: str, headers: Mapping[str, str], body: bytes) -> tuple[str, str]:
    """Return the names of the signed headers, and the text whose hash is signed."""
    parts = urlsplit(url)
    canonical = sorted((name.lower(), " ".join(value.split())) for name, value in headers.items())
    names = ";".join(name for name, _ in canonical)
    # The query is encoded already, and is signed as it stands; the path is encoded once more.
    query = sorted(pair.partition("=")[::2] for pair in parts.query.split("&") if parts.query)
    lines = [
        "POST",
        quote(_without_dots(parts.path), safe="/~"),
        "&".join(map("=".join, query)),
        *map(":".join, canonical),
        "",
        names,
        _sha256(body),
    ]
    return names, "\n".join(lines)


def _without_dots(path: str) -> str:
    """Return a path without its dot segments (RFC 3986 §5.2.4), nor empty ones."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in {"", "."}:
            kept.append(segment)
    end = "/" if kept and path.endswith("/") else ""
    return f"/{'/'.join(kept)}{end}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
