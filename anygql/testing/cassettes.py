"""The cassettes of one test: where they lie, and whether they are recorded or replayed."""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..delivery.interfaces import Transport
from .recorded import Recorded
from .recorder import Recorder
from .redaction import SECRET_NAMES

if TYPE_CHECKING:
    import pytest

__all__ = ["Cassettes"]

#: The longest name of a file, but for its end.
LONGEST = 120


class _PatientRecorder(Recorder):
    """Writes nothing before it is told to: a test may fail yet."""

    def _prepare(self) -> None:
        """Do nothing."""

    def _connection_ended(self) -> None:
        """Do nothing."""

    def save_if_used(self) -> None:
        """Write what was recorded, if there was an attempt to connect."""
        if self._tape.cassette.connections:
            self.save()


class Cassettes:
    """Makes the transports of a test that record or replay; the fixture ``cassette`` is one.

    ::

        async def test_countries(cassette):
            async with Client(cassette("https://example.org/graphql")) as session:
                ...

    Attributes:
        path: The file that the next call records or replays.
    """

    def __init__(self, item: pytest.Item, *, record: bool | None) -> None:
        self._folder = item.path.parent / "cassettes" / item.path.stem
        self._name = _name_of(item)
        self._record = record
        self._count = 0
        self._recorders: list[_PatientRecorder] = []

    @property
    def path(self) -> Path:
        """The file that the next call records or replays."""
        number = f"-{self._count + 1}" if self._count else ""
        return self._folder / f"{self._name}{number}.json"

    def __call__(
        self,
        transport: Transport | str,
        *,
        secrets: Collection[str] = SECRET_NAMES,
        speed: float = 1,
    ) -> Transport:
        """Return a transport that records ``transport``, or replays what was recorded of it.

        A test that calls this several times has a file for each call.

        Args:
            transport: The transport to record, or a URL. Nothing is sent when it is replayed.
            secrets: The names under which values are left out, as for ``Recorder``.
            speed: How many times faster than recorded to replay, as for ``Recorded``.

        Raises:
            FileNotFoundError: There is no file, and ``--no-anygql-record`` was given.
        """
        path = self.path
        self._count += 1
        if self._record or (self._record is None and not path.exists()):
            recorder = _PatientRecorder(transport, path, secrets=secrets)
            self._recorders.append(recorder)
            return recorder
        if not path.exists():
            raise FileNotFoundError(f"{path} is not there, and --no-anygql-record was given")
        return Recorded(path, speed=speed)

    def save(self) -> None:
        """Write what was recorded."""
        for recorder in self._recorders:
            recorder.save_if_used()


def _name_of(item: pytest.Item) -> str:
    """Return a file's name for a test: the same on every loop that it runs on."""
    name = ".".join(item.nodeid.split("::")[1:])
    call: Any = getattr(item, "callspec", None)
    if call is not None and "anyio_backend" in call.params:
        backend: Any = call.params["anyio_backend"]
        loop = backend if isinstance(backend, str) else backend[0]
        base, _, id = name.partition("[")
        parts = id.removesuffix("]").split("-")
        kept = [part for part in parts if part.partition("+")[0] != loop]
        name = f"{base}[{'-'.join(kept)}]" if kept else base
    name = re.sub(r"[^\w.\-\[\]=]", "_", name)
    if len(name) > LONGEST:
        name = f"{name[:LONGEST]}-{zlib.crc32(name.encode()):08x}"
    return name
