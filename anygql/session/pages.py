"""Pages of a list that the server gives in parts: their nodes, one after another.

Pages are those of the GraphQL Cursor Connections Specification, or any other that a function can
step through. The next page may be asked for while the nodes of one are consumed, by a task that
belongs to the block in which the pages are read.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypedDict, TypeVar

from anyio import Event, Lock, create_task_group
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from ..concurrency.cancellation import cancelled_first
from ..concurrency.contexts import ContextManagerMixin
from ..concurrency.exception_groups import unwrapped
from ..concurrency.interrupts import uninterruptible
from ..documents.request import GraphQLRequest
from ..exceptions import TransportError, TransportProtocolError, copy_to_raise
from ..results.result import ExecutionResult, data_or_raise
from .preparation import Conversions, PreparedRequest
from .tracebacks import shorten_traceback

if TYPE_CHECKING:
    from ..schema.client_schema import ClientSchema

__all__ = ["NextPage", "Page", "PageReader", "Pages", "waiting_nodes"]

_T = TypeVar("_T")
T_co = TypeVar("T_co", covariant=True)

#: A function from a page's data to the variables of the next page, or ``None`` after the last.
NextPage = Callable[[Any], Mapping[str, Any] | None]

#: The names that a cursor's variable may have by itself, with the preferred one first.
_FORWARDS = ("after", "endCursor", "cursor")
_BACKWARDS = ("before", "startCursor", "cursor")

#: Number of nodes between two checkpoints that let other tasks run.
_NODES_BETWEEN_CHECKPOINTS = 256

_HOW = "write `async with session.pages(…) as nodes:`, then `async for node in nodes:`"


@dataclass(frozen=True)
class Page(Generic[T_co]):
    """One page.

    Attributes:
        nodes: Its nodes. Backwards, the last one of the list comes first.
        page_info: Its ``pageInfo`` as it came, or ``None`` if it has none.
        result: The whole result, as it came.
    """

    nodes: Sequence[T_co]
    page_info: Mapping[str, Any] | None
    result: ExecutionResult


class PageReader(Generic[T_co]):
    """What is read from a page: its nodes, and the variables of the next one. Sans I/O.

    Args:
        request: The request for the first page.
        path: The response keys that lead to the connection, or to the list of nodes.
        conversions: The conversions of each page.
        schema: The client's schema, if it is known.
        result_type: The type of a node, ``None`` for plain data.
        cursor: The name of the cursor's variable, ``None`` to look among the usual names.
        backwards: Whether pages go from the last to the first.
        next_page: A function that steps from page to page, in place of cursors.

    Raises:
        ValueError: The document can't be read in pages, and the message says what it lacks.
        TypeError: ``result_type`` is no type of data, or ``next_page`` no function.
    """

    def __init__(
        self,
        request: GraphQLRequest,
        path: str,
        conversions: Conversions,
        schema: ClientSchema | None,
        *,
        result_type: Any = None,
        cursor: str | None = None,
        backwards: bool = False,
        next_page: NextPage | None = None,
    ) -> None:
        if next_page is not None and not callable(next_page):
            raise TypeError(f"next_page is a function, not {type(next_page).__name__}")
        if next_page is not None and (backwards or cursor is not None):
            raise ValueError("next_page steps by itself: leave cursor and backwards out")
        self.prepared: PreparedRequest = conversions.prepare(request, schema, path=path)
        self._path = path
        self._keys = tuple(path.split("."))
        self._backwards = backwards
        self._next_page = next_page
        self._cursor = ""
        if next_page is None:
            self._check_selected(request)
            self._cursor = self._variable(request, cursor)
        self._conversions = conversions
        self._node: Any = Any if result_type is None else result_type
        self._readers: dict[str, Callable[[Any], Sequence[T_co]]] = {}
        # Made at once, so that a type that is none is refused before anything is sent.
        self._reader_of("")
        #: The variables of the next page, or ``None`` after the last one.
        self.variables: Mapping[str, Any] | None = dict(request.variable_values or {})
        self._fault: TransportProtocolError | None = None
        self._number = 0

    def _check_selected(self, request: GraphQLRequest) -> None:
        """Raise ``ValueError`` if the document doesn't select what stepping needs."""
        wanted = ("hasPreviousPage", "startCursor") if self._backwards else _INFO
        for name in wanted:
            if not _is_selected(request, (*self._keys, "pageInfo", name)):
                raise ValueError(
                    f"{self._path!r} needs pageInfo {{ {' '.join(wanted)} }} to be read in pages: "
                    "select it, or give a function next_page="
                )
        if not any(_is_selected(request, (*self._keys, *keys)) for keys in _LISTS):
            raise ValueError(f"{self._path!r} selects neither nodes nor edges {{ node }}")

    def _variable(self, request: GraphQLRequest, cursor: str | None) -> str:
        """Return the name of the cursor's variable, which the operation must declare."""
        declared = request.source.variables[request.operation[0]].types
        usual = _BACKWARDS if self._backwards else _FORWARDS
        names = usual if cursor is None else (cursor,)
        for name in names:
            if name in declared:
                return name
        listed = ", ".join(f"${name}" for name in declared) or "no variable"
        hint = ""
        if cursor is None and not self._backwards and "before" in declared:
            hint = ". For pages from the last to the first, write backwards=True"
        raise ValueError(
            f"the operation must declare the cursor's variable, such as ${names[0]}: String, and "
            f"declares {listed}: name another one with cursor={hint}"
        )

    def request(self) -> GraphQLRequest | None:
        """Return the request for the next page, or ``None`` after the last one.

        Raises ``TransportProtocolError`` if the page before has not said where the next one is.
        """
        if self._fault is not None:
            raise copy_to_raise(self._fault)
        return None if self.variables is None else self.prepared.with_variables(self.variables)

    def read(self, result: ExecutionResult) -> Page[T_co]:
        """Return a page of the result, and step to the next one.

        Raises:
            TransportProtocolError: The page is the one before again: the cursor doesn't move.
            ResultTypeError: The nodes don't fit their type, or the path.
        """
        self._number += 1
        result = self.prepared.parse_result(result)
        connection = _at(result.data, self._keys)
        info: Any = connection.get("pageInfo") if _is_object(connection) else None
        assert self.variables is not None  # noqa: S101 - `request` has returned one
        self.variables = self._step(result.data, info, self.variables)
        if result.data is None:
            return Page((), None, result)
        kind = ""
        if _is_object(connection):
            kind = "edges" if "edges" in connection and not connection.get("nodes") else "nodes"
        try:
            nodes = self._reader_of(kind)(result.data)
        except ValueError:
            # Data with errors may lack anything. The errors are what the caller should hear of.
            if not result.errors:
                raise
            nodes = ()
        return Page(nodes[::-1] if self._backwards else nodes, info, result)

    def _reader_of(self, kind: str) -> Callable[[Any], Sequence[T_co]]:
        """Return a function from a page's data to its nodes: a list's, or a connection's."""
        if kind not in self._readers:
            keys = (*self._keys, kind) if kind else self._keys
            self._readers[kind] = _list_reader(
                self._node, keys, self._conversions, is_edge=kind == "edges"
            )
        return self._readers[kind]

    def _step(self, data: Any, info: Any, asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Return the variables of the next page, or ``None`` after the last one."""
        if self._next_page is not None:
            changed = self._next_page(data) if data is not None else None
            if changed is None:
                return None
            following = {**asked, **changed}
            if following == asked:
                raise self._stuck("next_page returned the variables of the same page again")
            return following
        has_more, at = ("hasPreviousPage", "startCursor") if self._backwards else _INFO
        if not _is_object(info) or not info.get(has_more):
            return None
        following = info.get(at)
        if following is None:
            # The nodes of this page are good.
            self._fault = self._stuck(f"{has_more} is true, and {at} is null")
            return asked
        if following == asked.get(self._cursor):
            raise self._stuck(
                f"it ends where the page before ended. Does the document hand ${self._cursor} to "
                f"the field {self._keys[-1]!r}?"
            )
        return {**asked, self._cursor: following}

    def _stuck(self, why: str) -> TransportProtocolError:
        return TransportProtocolError(
            f"the cursor doesn't move: page {self._number} of {self._path!r}: {why}"
        )


_INFO = ("hasNextPage", "endCursor")
_LISTS = (("nodes",), ("edges", "node"))


def _is_selected(request: GraphQLRequest, keys: tuple[str, ...]) -> bool:
    try:
        request.check_path(keys)
    except ValueError:
        return False
    return True


def _is_object(data: Any) -> bool:
    """Return whether data are an object. Unlike ``isinstance``, this narrows no type."""
    return isinstance(data, dict)


def _at(data: Any, keys: tuple[str, ...]) -> Any:
    """Return the data at the end of a path, or ``None`` if they don't reach it."""
    for key in keys:
        data = data.get(key) if _is_object(data) else None
    return data


def _list_reader(
    node: Any, keys: tuple[str, ...], conversions: Conversions, *, is_edge: bool
) -> Callable[[Any], Sequence[Any]]:
    """Return a function from a page's data to the nodes in the list at a path."""
    from ..results.types import conversion

    items: Any = _list_of_edges(node) if is_edge else list[node] | None
    read: Callable[[Any], Any] = conversion(
        items,
        camel_case=conversions.camel_case,
        path=keys,
        of_answers=True,
        parsed=conversions.parse_results,
    ).convert
    if not is_edge:
        return lambda data: read(data) or ()

    def nodes(data: Any) -> Sequence[Any]:
        edges: list[Any] = read(data) or []
        return [edge and edge["node"] for edge in edges]

    return nodes


def _list_of_edges(node: Any) -> Any:
    try:
        return _edges(node)
    except TypeError:  # metadata of Annotated may be anything
        return _edges.__wrapped__(node)


@lru_cache(256)
def _edges(node: Any) -> Any:
    # A type, so that errors name the path to the value that is wrong.
    edge: Any = TypedDict("edge", {"node": node})  # pyright: ignore
    return list[edge | None] | None


class Pages(ContextManagerMixin, Generic[T_co]):
    """The nodes of a list that comes in pages: an async context manager and iterator.

    ``session.pages`` makes these. Within the block, ``async for`` gives one node after another, and
    a page is asked for when the one before is being consumed. A page whose result has errors gives
    its nodes, then raises ``TransportQueryError``; the next node can be asked for after that. When
    asking for a page failed, the next node asks for it again. Leaving the block cancels what is
    under way.
    """

    def __init__(
        self,
        reader: PageReader[T_co],
        execute: Callable[[GraphQLRequest], Awaitable[ExecutionResult]],
        prefetch: int,
    ) -> None:
        if isinstance(prefetch, bool) or not isinstance(prefetch, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"prefetch is a number of pages, not {type(prefetch).__name__}")
        if prefetch < 0:
            raise ValueError(f"prefetch must be 0 (none) or more pages, not {prefetch}")
        self._reader = reader
        self._execute = execute
        self._prefetch = prefetch
        self._tasks: TaskGroup | None = None
        self._turning = Lock()
        self._ready: deque[Page[T_co] | Exception] = deque()
        self._arrived = Event()
        self._is_fetching = False
        self._page: Page[T_co] | None = None
        self._position = 0
        self._errors_are_due = False
        self._credit = _NODES_BETWEEN_CHECKPOINTS

    @property
    def page_info(self) -> Mapping[str, Any] | None:
        """The ``pageInfo`` of the page that the last node came from, as it came."""
        return None if self._page is None else self._page.page_info

    @property
    def pages(self) -> _WholePages[T_co]:
        """An async iterator over whole pages, each a ``Page``, from the next one on."""
        return _WholePages(self)

    @asynccontextmanager
    @uninterruptible
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        if self._tasks is not None:
            raise RuntimeError("pages can be entered once: call session.pages() again")
        with unwrapped():
            async with create_task_group() as self._tasks:
                try:
                    yield self
                finally:
                    self._tasks.cancel_scope.cancel()

    def __aiter__(self) -> Self:
        return self

    if not TYPE_CHECKING:  # type checkers refuse these by themselves

        def __await__(self) -> NoReturn:
            raise TypeError("pages are not awaited: " + _HOW)

        def __iter__(self) -> NoReturn:
            raise TypeError("pages are iterated with `async for`: " + _HOW)

    @uninterruptible
    async def __anext__(self) -> T_co:
        """Return the next node. If canceled, no node is lost.

        Raises:
            TransportQueryError: After the nodes of a page whose result has errors.
            TransportProtocolError: When the cursor doesn't move.
            ResultTypeError: When the nodes don't fit ``result_type``.
            TransportError: When a page can't be had, as for ``execute``.
        """
        if not self._credit:
            self._credit = _NODES_BETWEEN_CHECKPOINTS
            await checkpoint()
        while self._page is None or self._position >= len(self._page.nodes):
            self._raise_errors()
            await self._turn(self._page)
        node = self._page.nodes[self._position]
        self._position += 1
        self._credit -= 1
        return node

    @uninterruptible
    async def next_page(self) -> Page[T_co]:
        """Return the next page whole; ``pages`` is for users."""
        self._raise_errors()
        page = await self._turn(self._page)
        self._position = len(page.nodes)
        return page

    def _take_rest(self) -> Sequence[T_co]:
        assert self._page is not None  # noqa: S101 - the last node came from it
        rest = self._page.nodes[self._position :]
        self._position = len(self._page.nodes)
        return rest

    def _raise_errors(self) -> None:
        """Raise the errors of the page that was given, once."""
        if self._errors_are_due and self._page is not None:
            self._errors_are_due = False
            data_or_raise(self._page.result)

    async def _turn(self, before: Page[T_co] | None) -> Page[T_co]:
        """Make the next page the one that nodes come from, unless another task has."""
        if self._tasks is None:
            raise RuntimeError("pages are read within their block: " + _HOW)
        if self._tasks.cancel_scope.cancel_called:
            await self._refuse()
        async with self._turning:
            if self._page is not before and self._page is not None:
                return self._page
            try:
                page = await (self._receive() if self._prefetch else self._fetch())
            except TransportError as error:
                await cancelled_first(error)
                shorten_traceback(error)
                raise
            if page is None:
                raise StopAsyncIteration
            self._page, self._position = page, 0
            self._errors_are_due = bool(page.result.errors)
            self._credit = _NODES_BETWEEN_CHECKPOINTS
        return page

    async def _fetch(self) -> Page[T_co] | None:
        """Ask for the next page. Return ``None`` after the last one."""
        request = self._reader.request()
        return None if request is None else self._reader.read(await self._execute(request))

    async def _receive(self) -> Page[T_co] | None:
        """Return the next page, which a task fetches, and let that fetch the one after it."""
        while not self._ready:
            # Again if that task was canceled by itself: a list must not seem to end there.
            self._begin_to_fetch()
            if not self._is_fetching:
                return None
            await self._arrived.wait()
            if self._tasks is None or self._tasks.cancel_scope.cancel_called:
                await self._refuse()
        outcome = self._ready.popleft()
        if isinstance(outcome, Exception):
            raise outcome
        self._begin_to_fetch()
        return outcome

    async def _refuse(self) -> NoReturn:
        await checkpoint()
        raise RuntimeError("the block of these pages was left")

    def _begin_to_fetch(self) -> None:
        """Start the task that fetches, unless it runs, or has nothing to do."""
        held = len(self._ready)
        if self._is_fetching or self._reader.variables is None or held >= self._prefetch:
            return
        assert self._tasks is not None  # noqa: S101 - the block is entered
        self._is_fetching = True
        self._arrived = Event()
        self._tasks.start_soon(self._fetch_ahead, name="anygql: pages")

    @uninterruptible
    async def _fetch_ahead(self) -> None:
        """Fetch pages until as many wait as may, or there are no more."""
        try:
            while len(self._ready) < self._prefetch:
                page = await self._fetch()
                if page is None:
                    break
                self._ready.append(page)
                self._arrived.set()
                self._arrived = Event()
        except Exception as exc:  # noqa: BLE001 - raised to the consumer
            self._ready.append(exc)
        finally:
            self._is_fetching = False
            self._arrived.set()


def waiting_nodes(pages: Pages[T_co]) -> Sequence[T_co]:
    """Take the nodes that are left of the page which the last node came from."""
    return pages._take_rest()  # pyright: ignore[reportPrivateUsage]


class _WholePages(Generic[T_co]):
    """An async iterator over the pages of ``Pages``."""

    def __init__(self, pages: Pages[T_co]) -> None:
        self._pages = pages

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Page[T_co]:
        return await self._pages.next_page()
