"""What blocking classes say to ``async with`` and ``async for``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

__all__ = ["NotAsync"]


class NotAsync:
    """A base of blocking classes, which refuses ``async with`` and ``async for``.

    Attributes:
        _instead: The message of the ``TypeError``: what it is not, and what to write.
    """

    __slots__ = ()

    _instead: str

    if not TYPE_CHECKING:  # type checkers refuse these by themselves

        def __aiter__(self) -> NoReturn:
            raise TypeError(self._instead)

        async def __aenter__(self) -> NoReturn:
            raise TypeError(self._instead)

        async def __aexit__(self, *_args: object) -> None:
            """Do nothing: this is never entered."""
