"""Pages without ``await``: the nodes of a page come with one change of threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from anyio import Event

from ..session.pages import Page, waiting_nodes
from ..session.pages import Pages as AsyncPages
from ..session.tracebacks import short_tracebacks
from .portal import Call, Portal
from .refusing import NotAsync

__all__ = ["Pages"]

T_co = TypeVar("T_co", covariant=True)


class Pages(NotAsync, Generic[T_co]):
    """The nodes of a list that comes in pages: a context manager and iterator.

    ``session.pages`` makes these. Within the block, ``for`` gives one node after another, and a
    page is asked for when the one before is being consumed. A page whose result has errors gives
    its nodes, then raises ``TransportQueryError``; the next node can be asked for after that. When
    asking for a page failed, the next node asks for it again. Leaving the block cancels what is
    under way.
    """

    __slots__ = ("_block", "_info", "_is_open", "_leave", "_opened", "_portal", "_ready", "_twin")

    _instead = (
        "pages of anygql.blocking are no async ones: write `with session.pages(…) as nodes:`, then "
        "`for node in nodes:`"
    )

    def __init__(self, portal: Portal, twin: AsyncPages[T_co]) -> None:
        self._portal = portal
        self._twin = twin
        self._ready: deque[T_co] = deque()
        self._info: Mapping[str, Any] | None = None
        self._is_open = False
        self._opened = threading.Event()
        self._leave: Event
        # One task enters the block and leaves it.
        self._block = Call(self._hold_open)

    async def _hold_open(self) -> None:
        self._leave = Event()
        try:
            async with self._twin:
                self._is_open = True
                self._opened.set()
                await self._leave.wait()
        finally:
            self._is_open = False
            self._opened.set()

    def __enter__(self) -> Self:
        """Enter the block. No page is asked for yet.

        Raises:
            RuntimeError: When it was entered before.
        """
        with short_tracebacks:
            self._portal.check()
            if self._opened.is_set():
                raise RuntimeError("pages can be entered once: call session.pages() again")
            try:
                self._portal.begin(self._block)
                self._opened.wait()
            except BaseException:
                self._portal.cancel(self._block)
                raise
            if not self._is_open:
                self._block.wait()
                self._block.result()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the block, and cancel what is under way."""
        self._ready.clear()
        if not self._block.is_done:
            self._portal.post(lambda: self._leave.set())
            self._block.wait()

    @property
    def page_info(self) -> Mapping[str, Any] | None:
        """The ``pageInfo`` of the page that the last node came from, as it came."""
        return self._info

    @property
    def pages(self) -> Iterator[Page[T_co]]:
        """An iterator over whole pages, each a ``Page``, from the next one on."""
        return _WholePages(self)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T_co:
        """Return the next node. If interrupted, no node is lost.

        Raises:
            TransportQueryError: After the nodes of a page whose result has errors.
            TransportProtocolError: When the cursor doesn't move.
            ResultTypeError: When the nodes don't fit ``result_type``.
            TransportError: When a page can't be had, as for ``execute``.
        """
        while not self._ready:
            with short_tracebacks:
                if not self._portal.run(self._take):
                    raise StopIteration
        return self._ready.popleft()

    def next_page(self) -> Page[T_co]:
        """Return the next page whole; ``pages`` is for users."""
        self._ready.clear()
        with short_tracebacks:
            page: Page[T_co] | None = self._portal.run(self._turn)
        if page is None:
            raise StopIteration
        return page

    async def _take(self) -> bool:
        """Put the nodes of a page where they wait, in the loop: none is lost on the way."""
        try:
            node = await anext(self._twin)
        except StopAsyncIteration:
            return False
        self._ready.append(node)
        self._ready.extend(waiting_nodes(self._twin))
        self._info = self._twin.page_info
        return True

    async def _turn(self) -> Page[T_co] | None:
        try:
            page = await self._twin.next_page()
        except StopAsyncIteration:
            return None
        self._info = page.page_info
        return page


class _WholePages(Generic[T_co]):
    """An iterator over the pages of ``Pages``."""

    def __init__(self, pages: Pages[T_co]) -> None:
        self._next: Callable[[], Page[T_co]] = pages.next_page

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Page[T_co]:
        return self._next()
