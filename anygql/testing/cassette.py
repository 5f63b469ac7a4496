"""The file of a recording: what it holds, and how it is read and written."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any, Literal

import msgspec

from .. import exceptions
from ..exceptions import TransportError, TransportQueryError
from ..results.result import ExecutionResult, Origin, ResultWithOrigin
from .redaction import SECRET_NAMES

__all__ = [
    "Arrival",
    "Cassette",
    "ConnectionRecord",
    "Failure",
    "OperationRecord",
    "read_cassette",
    "write_cassette",
]

#: The version of the format.
VERSION = 1

#: Wherever times are, they are seconds, in milliseconds' steps: the rest is noise.
DIGITS = 3


class Failure(msgspec.Struct, omit_defaults=True):
    """A ``TransportError``, with what the server said."""

    error: str
    message: str
    code: int | None = None
    reason: str = ""
    #: ``None`` is the default of its class.
    retryable: bool | None = None
    unsent: bool = False
    retry_after: float | None = None
    headers: dict[str, str] = {}
    body: str = ""
    errors: list[Any] = []
    data: Any = None
    extensions: Any = None

    def to_error(self) -> TransportError:
        """Return an error of the same class, with the same attributes."""
        kind: Any = getattr(exceptions, self.error, TransportError)
        if kind is TransportQueryError:
            error: TransportError = TransportQueryError(
                self.message,
                errors=self.errors,
                data=self.data,
                extensions=self.extensions,
                code=self.code,
                headers=self.headers,
                body=self.body,
            )
        else:
            error = kind(
                self.message,
                code=self.code,
                reason=self.reason,
                retryable=self.retryable,
                headers=self.headers,
                body=self.body,
                errors=self.errors,
            )
        error.unsent = self.unsent
        error.retry_after = self.retry_after
        return error


class Arrival(msgspec.Struct, omit_defaults=True):
    """A result, and when it came after the operation had begun."""

    after: float
    data: Any = msgspec.UNSET
    errors: list[Any] | None = None
    extensions: Any = None
    #: The HTTP response that the result came by.
    status: int | None = None
    headers: dict[str, str] = {}

    def to_result(self) -> ExecutionResult:
        """Return the result."""
        result = ExecutionResult(self.data, self.errors, self.extensions)
        if self.status is None:
            return result
        return ResultWithOrigin.make(result, Origin(self.status, self.headers))


class OperationRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One operation: what was asked, what came, and how it ended."""

    kind: Literal["query", "mutation", "subscription"]
    name: str | None = None
    #: The lines of the text.
    document: list[str]
    variables: dict[str, Any] = {}
    #: When it began, after its connection was open.
    at: float
    results: list[Arrival] = []
    #: ``"left"``: by this side. ``"lost"``: with its connection.
    ended: Literal["completed", "failed", "left", "lost"] = "completed"
    ended_after: float = 0
    failure: Failure | None = None


class ConnectionRecord(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One attempt to connect, and what ran on the connection if there was one."""

    #: When the attempt began, after the first one.
    at: float
    #: How long it took to connect, or to fail.
    connecting: float = 0
    failure: Failure | None = None
    payloads: dict[str, Any] = {}
    headers: dict[str, str] = {}
    operations: list[OperationRecord] = []
    #: When it was lost after it was open, and by what; ``None`` if this side closed it.
    lost_after: float | None = None
    lost: Failure | None = None


class Cassette(msgspec.Struct, omit_defaults=True):
    """A recording."""

    anygql_cassette: int
    recorded_from: str
    #: Whether the transport had something that may be another in another attempt to connect.
    asks_anew: bool = True
    secrets: tuple[str, ...] = SECRET_NAMES
    connections: list[ConnectionRecord] = []


def read_cassette(path: Path) -> Cassette:
    """Read a cassette.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no cassette, or one of a later version.
    """
    text = path.read_bytes()
    try:
        cassette = msgspec.json.decode(text, type=Cassette)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise ValueError(f"{path} is no cassette that a Recorder has written: {exc}") from exc
    if cassette.anygql_cassette != VERSION:
        raise ValueError(
            f"{path} is a cassette of version {cassette.anygql_cassette}, and this anygql reads "
            f"version {VERSION}: record it anew"
        )
    return cassette


def write_cassette(cassette: Cassette, path: Path) -> None:
    """Write a cassette as a whole, or not at all. Folders that lack are made."""
    text = msgspec.json.format(msgspec.json.encode(cassette), indent=2) + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder: a file can be moved in one step within one file system only.
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with beside.open("xb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
