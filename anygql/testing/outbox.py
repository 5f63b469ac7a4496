"""The messages that wait for a connection's writer, and the log of those written."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, overload

import anyio
import msgspec

from ..concurrency.signal import Signal

__all__ = ["MessageLog", "Outbox", "encode"]

Message = dict[str, Any]

#: The UTF-8 JSON text of a message.
encode = msgspec.json.Encoder().encode


class Outbox:
    """Messages for one writer. Who finds it full waits, so a flood runs at the writer's pace.

    After one wait a message is added whatever else was added meanwhile: many senders share the
    room, none starves, and the excess is at most one message for each of them.
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
        """Whether something is not written yet."""
        return self._writing or self._work.is_set()

    @property
    def is_full(self) -> bool:
        """Whether senders should ``wait_room`` first."""
        return len(self._messages) >= self._max_messages or self._size >= self._max_bytes

    async def wait_room(self) -> None:
        """Wait until the writer has taken what there is."""
        await self._room.wait()

    def add(self, *messages: bytes) -> None:
        """Add messages, together, full or not."""
        if not self._messages:
            self._work.set()
        for message in messages:
            self._size += len(message)
        self._messages.extend(messages)

    def wake(self) -> None:
        """Wake the writer, whether or not there are messages."""
        self._work.set()

    async def wait_work(self) -> None:
        """Wait until there is something to do."""
        await self._work.wait()

    def take(self) -> list[bytes]:
        """All messages; call ``done`` when they are written."""
        self._work = anyio.Event()
        self._writing = True
        messages, self._messages, self._size = self._messages, [], 0
        self._room.notify()
        return messages

    def done(self) -> None:
        """What was taken is written."""
        self._writing = False


class MessageLog(Sequence[Message]):
    """The newest messages that went over a connection, decoded when looked at."""

    def __init__(self, maxlen: int) -> None:
        self._texts: deque[bytes] = deque(maxlen=maxlen)

    def extend(self, texts: Sequence[bytes]) -> None:
        """Note more messages."""
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
