"""How a subscription's results wait for their consumer, and what happens when too many do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias, get_args

import msgspec

from ..net.options import seconds

__all__ = ["Delivery", "OnOverflow"]


OnOverflow: TypeAlias = Literal["pause", "error", "drop_oldest"]


#: Past ``buffer_size`` times this, a ``"pause"`` subscription takes no more, whoever waits.
HARD_LIMIT_FACTOR = 64


class Delivery(msgspec.Struct, frozen=True):
    """How a subscription's results wait for their consumer.

    Raises ``TypeError`` or ``ValueError`` for values that make no sense.
    """

    #: How many results may wait without any consequence.
    buffer_size: int = 1024
    #: What happens to results past that.
    on_overflow: OnOverflow = "pause"
    #: For how many seconds a consumer at the hard limit may take nothing; ``None``: no limit.
    stall_timeout: float | None = 10
    #: Called instead of an overflow, with its reason, where many share the results. It takes some
    #: at once, and returns whether it could.
    make_room: Callable[[str], bool] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.buffer_size, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(
                f"buffer_size is a whole number of results, not {type(self.buffer_size).__name__}"
            )
        if self.buffer_size < 1:
            raise ValueError(f"buffer_size must be at least 1, not {self.buffer_size}")
        if self.on_overflow not in get_args(OnOverflow):
            raise ValueError(
                f"on_overflow must be one of {', '.join(map(repr, get_args(OnOverflow)))}, "
                f"not {self.on_overflow!r}"
            )
        seconds("stall_timeout", self.stall_timeout)

    @property
    def hard_limit(self) -> int:
        """How many results may wait in any case."""
        return self.buffer_size * HARD_LIMIT_FACTOR
