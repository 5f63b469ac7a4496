"""The messages that wait for a connection's writer, and the log of those written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, overload

import anyio
import msgspec

from ..concurrency.signal import Signal

__all__ = ["MessageLog", "Outbox", "encode"]

Message: TypeAlias = Any

#: The UTF-8 JSON text of a message.
encode = msgspec.json.Encoder().encode


class Outbox:
    """The messages for one writer. Senders wait while it is full, at the writer's pace.

    After one wait a sender may add a message, whatever others have added meanwhile. So no sender
    starves, and the excess is at most one message for each.
    """

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._messages: list[bytes] = []
        self._size = 0
        self._work = anyio.Event()
        self._room = Signal()
        self._writing = False

    @property
    def has_work(self) -> bool:
        """Whether some messages are not written yet."""
        return self._writing or self._work.is_set()

    @property
    def is_full(self) -> bool:
        """Whether senders should ``wait_room`` first."""
        return len(self._messages) >= self._max_messages or self._size >= self._max_bytes

    async def wait_room(self) -> None:
        """Wait until the writer has taken all messages."""
        await self._room.wait()

    def add(self, *messages: bytes) -> None:
        """Add messages that are written together, even if it is full."""
        if not self._messages:
            self._work.set()
        for message in messages:
            self._size += len(message)
        self._messages.extend(messages)

    def wake(self) -> None:
        """Wake the writer, even if there are no messages."""
        self._work.set()

    async def wait_work(self) -> None:
        """Wait until there are messages, or ``wake`` has been called."""
        await self._work.wait()

    def take(self) -> list[bytes]:
        """Remove and return all messages. Call ``done`` when they are written."""
        self._work = anyio.Event()
        self._writing = True
        messages, self._messages, self._size = self._messages, [], 0
        self._room.notify()
        return messages

    def done(self) -> None:
        """Note that the messages of the last ``take`` are written."""
        self._writing = False


class MessageLog(Sequence[Message]):
    """The newest messages sent over a connection; they are decoded when they are read."""

    def __init__(self, maxlen: int) -> None:
        self._texts: deque[bytes] = deque(maxlen=maxlen)

    def extend(self, texts: Sequence[bytes]) -> None:
        """Append messages, given as JSON texts."""
        self._texts.extend(texts)

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...
    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        if isinstance(index, slice):
            return [msgspec.json.decode(text) for text in list(self._texts)[index]]
        decoded: Message = msgspec.json.decode(self._texts[index])
        return decoded

    def __iter__(self) -> Iterator[Message]:
        for text in list(self._texts):
            yield msgspec.json.decode(text)

    def __eq__(self, other: object) -> bool:
        return list(self) == (list(other) if isinstance(other, Sequence) else other)  # pyright: ignore[reportUnknownArgumentType]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"MessageLog({list(self)!r})"
