"""Incremental delivery: merging the payloads of ``@defer`` and ``@stream``.

Three formats are in use. In the current one, a patch has the ``id`` of something ``pending``, which
is later ``completed``. In the format of 2022, patches in ``incremental`` have a ``path``. In the
oldest format, a payload is itself a patch with a ``path``.
https://github.com/graphql/defer-stream-wg
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, TypeGuard, cast

import msgspec

from ..exceptions import ProtocolViolation
from .answers import NotAResult, read_result, server_words
from .result import ExecutionResult

__all__ = ["DEFAULT_MAX_PENDING", "IncrementalMerge"]

#: How many patches a server may announce without completing them.
DEFAULT_MAX_PENDING = 2**16

#: The close code of graphql-transport-ws for a malformed message.
_MALFORMED = 4400

_Path: TypeAlias = list[str | int]
_Container: TypeAlias = "dict[Any, Any] | list[Any]"


class _Struct(msgspec.Struct, rename="camel"):
    pass


class _Pending(_Struct):
    id: str
    path: _Path


class _Completed(_Struct):
    id: str
    errors: list[Any] | None = None


class _Patch(_Struct):
    data: Any = msgspec.UNSET
    items: list[Any] | msgspec.UnsetType | None = msgspec.UNSET
    id: str | None = None
    path: _Path | None = None
    sub_path: _Path | None = None
    errors: list[Any] | None = None
    extensions: dict[str, Any] | None = None


class _Payload(_Patch):
    has_next: bool | None = None
    pending: list[_Pending] | None = None
    incremental: list[_Patch] | None = None
    completed: list[_Completed] | None = None


#: A payload without any member that can be part of a result, or say that there is more.
_NOTHING = _Payload()


class IncrementalMerge:
    """The result of one operation, merged from its payloads.

    Each payload makes a new result. Later payloads change neither earlier results nor payloads:
    the containers on the path of a patch are copied, once for each payload, and everything else is
    shared between results. So don't write to results. Keeping all of them costs little.

    Args:
        max_pending: How many patches the server may announce without completing them; 65,536 by
            default.
    """

    def __init__(self, *, max_pending: int = DEFAULT_MAX_PENDING) -> None:
        self._max_pending = max_pending
        self._pending: dict[str, _Path] = {}
        self._root: list[Any] = []  # the data, once there is any
        self._errors: list[Any] = []
        self._extensions: dict[str, Any] | None = None
        self._copies: dict[int, _Container] = {}  # made for this payload, by their id()
        #: Whether more payloads follow.
        self.has_next = True

    def add(self, payload: Mapping[str, Any]) -> ExecutionResult:
        """Merge ``payload`` and return the result so far; ``has_next`` says if more follow.

        Raises:
            ProtocolViolation: The payload is malformed, follows the last one, or patches something
                that isn't there. ``result`` stays, and no payload can be added any more.
        """
        try:
            return self._add(payload)
        except ProtocolViolation:
            self.has_next = False
            raise
        except RecursionError as exc:
            self.has_next = False
            raise _violation("nested too deeply") from exc

    @property
    def result(self) -> ExecutionResult:
        """The result so far."""
        data = self._root[0] if self._root else None
        return ExecutionResult(data, [*self._errors] or None, self._extensions)

    def _add(self, given: Mapping[str, Any]) -> ExecutionResult:
        if not self.has_next:
            raise _violation("it comes after the last one")
        try:
            payload = msgspec.convert(given, _Payload)
        except msgspec.ValidationError as exc:
            raise _violation(str(exc)) from exc
        is_first = not self._root
        self._copies = {}
        if is_first:
            _require_result(given)
            self._root = [None if payload.data is msgspec.UNSET else payload.data]
        else:
            self._root = [*self._root]
            if payload == _NOTHING:
                problem = "a JSON object without any part of a result"
                raise _violation(_with_words(problem, given))
            self._merge_rest(payload)
        self._add_errors_and_extensions(payload)
        self._announce(payload.pending or ())
        for patch in payload.incremental or ():
            self._merge_patch(patch)
            self._add_errors_and_extensions(patch)
        for completed in payload.completed or ():
            self._complete(completed)
        # A first payload without ``hasNext`` is a complete response.
        self.has_next = not is_first if payload.has_next is None else payload.has_next
        return self.result

    def _merge_rest(self, payload: _Payload) -> None:
        if payload.path is not None:
            self._merge_patch(payload)
        elif payload.data is not msgspec.UNSET and payload.data is not None:
            raise _violation("it has data but no path, and is not the first")

    def _add_errors_and_extensions(self, patch: _Patch | _Completed) -> None:
        self._errors += patch.errors or ()
        if isinstance(patch, _Patch) and patch.extensions:
            self._extensions = {**(self._extensions or {}), **patch.extensions}

    def _announce(self, pending: Iterable[_Pending]) -> None:
        for announced in pending:
            if announced.id in self._pending:
                raise _violation(f"the id {announced.id[:40]!r} is pending already")
            if len(self._pending) == self._max_pending:
                raise _violation(f"more than {self._max_pending} patches are pending (max_pending)")
            self._pending[announced.id] = announced.path

    def _complete(self, completed: _Completed) -> None:
        if self._pending.pop(completed.id, None) is None:
            raise _unknown_id(completed.id)
        self._add_errors_and_extensions(completed)

    def _merge_patch(self, patch: _Patch) -> None:
        if patch.id is not None:  # Strawberry adds a path, which the id makes redundant
            path = self._pending.get(patch.id)
            if path is None:
                raise _unknown_id(patch.id)
            path = [*path, *(patch.sub_path or ())]
        elif patch.path is not None:
            path = patch.path
        else:
            raise _violation("a patch has neither an id nor a path")
        if patch.id is None and patch.data is not msgspec.UNSET and self._is_next_item(path):
            # The oldest form of @stream.
            cast("list[Any]", self._container_at(path[:-1])).append(patch.data)
        # The data of a fragment that failed is null.
        elif patch.data is not msgspec.UNSET and patch.data is not None:
            self._merge_data(path, patch.data)
        if patch.items:  # not unset, null (a stream that failed) or empty
            self._merge_items(path, patch.items, at_index=patch.id is None)

    def _merge_data(self, path: _Path, data: Any) -> None:
        target = self._container_at(path)
        if not _can_merge(target, data):
            raise _violation(f"a patch of another type than what is at the path {_shorten(path)}")
        self._merge(target, data)

    def _is_next_item(self, path: _Path) -> bool:
        holder: Any = self._root
        for key in (0, *path[:-1]):
            holder = _child(holder, key)
        return (
            bool(path) and isinstance(holder, list) and path[-1] == len(cast("list[Any]", holder))
        )

    def _merge_items(self, path: _Path, items: list[Any], *, at_index: bool) -> None:
        """Add items to a list. With ``at_index``, the path ends in the index of the first item."""
        index = path[-1] if at_index and path else None
        target = self._container_at(path[:-1] if isinstance(index, int) else path)
        start = index if isinstance(index, int) else len(target)
        if not isinstance(target, list) or not 0 <= start <= len(target):
            raise _unknown_path(path)
        target[start : start + len(items)] = items

    def _container_at(self, path: _Path) -> _Container:
        """Return the container at ``path``, after copying each container on the way."""
        here: _Container = self._root
        for key in (0, *path):
            if not _is_container(_child(here, key)):
                raise _unknown_path(path)
            here = self._copied_child(here, key)
        return here

    def _copied_child(self, holder: _Container, key: Any) -> _Container:
        child: _Container = holder[key]
        if id(child) not in self._copies:
            child = child.copy()
            self._copies[id(child)] = child
            holder[key] = child
        return child

    def _merge(self, target: _Container, patch: _Container) -> None:
        """Merge deeply into ``target``, which is a copy; merge lists by index."""
        pairs: Iterable[tuple[Any, Any]]
        pairs = patch.items() if isinstance(patch, dict) else enumerate(patch)
        for key, value in pairs:
            there = _child(target, key)
            if isinstance(target, list) and there is msgspec.UNSET:
                target.append(value)
            elif _can_merge(there, value):
                self._merge(self._copied_child(target, key), value)
            else:
                target[key] = value


def _require_result(given: Mapping[str, Any]) -> None:
    """Check that the first payload is a result: what follows is only added to it."""
    try:
        read_result(given)
    except NotAResult as exc:
        raise _violation(_with_words(str(exc), given)) from exc


def _with_words(problem: str, given: Mapping[str, Any]) -> str:
    words = server_words(given)
    return f"{problem}: {words}" if words else problem


def _is_container(value: Any) -> TypeGuard[_Container]:
    return isinstance(value, dict | list)


def _can_merge(value: Any, patch: Any) -> bool:
    return any(isinstance(value, kind) and isinstance(patch, kind) for kind in (dict, list))


def _child(holder: Any, key: Any) -> Any:
    """Return the item of ``holder`` at ``key``; ``UNSET`` if it has none or is no container."""
    if isinstance(holder, dict):
        return cast("dict[Any, Any]", holder).get(key, msgspec.UNSET)
    if isinstance(holder, list) and isinstance(key, int):
        items = cast("list[Any]", holder)
        return items[key] if 0 <= key < len(items) else msgspec.UNSET
    return msgspec.UNSET


def _shorten(path: _Path) -> str:
    shown = ".".join(map(str, path))
    return repr(shown if len(shown) <= 80 else f"{shown[:79]}…")


def _violation(reason: str) -> ProtocolViolation:
    return ProtocolViolation(_MALFORMED, f"malformed incremental payload: {reason}")


def _unknown_id(id: str) -> ProtocolViolation:
    return _violation(f"a patch for the unknown id {id[:40]!r}")


def _unknown_path(path: _Path) -> ProtocolViolation:
    return _violation(f"a patch for the unknown path {_shorten(path)}")
