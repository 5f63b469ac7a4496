"""The base client of packages that ariadne-codegen generates, which runs on a session.

The generator copies the file with the base client into each package. This file is enough::

    from anygql.codegen import SessionClient

    class BaseClient(SessionClient):
        pass

``Upload`` and ``UNSET`` are defined by each generated package, and pydantic is a dependency of the
package and not of anygql. So this module imports none of the three, and recognizes them by their
attributes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import IO, Any, Protocol, TypeGuard, TypeVar, cast, runtime_checkable

from .documents.files import FileVar
from .json import is_mapping
from .results.result import ExecutionResult, data_or_raise
from .session.session import Session
from .session.subscription import Subscription

__all__ = ["SessionClient", "subscribed"]

_T = TypeVar("_T")

#: Options of a session's client that don't apply, since generated code converts values itself.
_UNCONVERTED: dict[str, Any] = {"serialize_variables": False, "parse_results": False}


@runtime_checkable
class _Model(Protocol):
    """A pydantic model, such as a generated input type."""

    def model_dump(self, *, by_alias: bool, exclude_unset: bool) -> dict[str, Any]: ...


@runtime_checkable
class _Upload(Protocol):
    """The ``Upload`` of a generated package."""

    filename: str
    content: IO[bytes]
    content_type: str


class SessionClient:
    """The base of generated clients, which runs their operations on a session.

    Any task may use a client, and several clients may use one session.

    Args:
        session: An open session, with the transport, retries and limits to use. The client doesn't
            close it.

    Raises:
        TypeError: ``session`` is not a session but, for example, a URL or an ``anygql.Client``.
    """

    def __init__(self, session: Session) -> None:
        if not callable(getattr(session, "execute_result", None)):
            raise TypeError(
                f"{type(self).__name__} runs on an open session "
                "(async with anygql.Client(url) as session), "
                f"not on a {type(session).__module__}.{type(session).__name__}"
            )
        self._session = session

    async def execute(
        self,
        query: str,
        operation_name: str | None = None,
        variables: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> ExecutionResult:
        """Execute a query or mutation and return the whole result, for ``get_data``.

        Canceling has the effects that ``Session.execute_result`` describes.

        Args:
            query: The text of the document.
            operation_name: The operation to run; ``None`` if the document has only one.
            variables: The values of the variables, which may be models and uploads.
            kwargs: Further arguments of ``Session.execute_result``, such as ``timeout``.

        Raises:
            TypeError: The variables are nested too deeply, or contain themselves.
            TransportError: As from ``Session.execute_result``; but not for GraphQL errors, which
                are in the result.
        """
        return await self._session.execute_result(
            query,
            self._variables(variables),
            operation_name=operation_name,
            **(_UNCONVERTED | kwargs),
        )

    def get_data(self, response: ExecutionResult) -> dict[str, Any]:
        """Return the data of a result.

        Args:
            response: The result, as ``execute`` returned it.

        Raises:
            TransportQueryError: When the result has errors.
        """
        return cast("dict[str, Any]", data_or_raise(response))

    def execute_ws(
        self,
        query: str,
        operation_name: str | None = None,
        variables: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Subscription[Any]:
        """Subscribe on the session, whatever its transport, and iterate over the results' data.

        The subscription begins when it is first asked for a result. Errors, and the effects of
        canceling, are those of ``Session.subscribe``.

        Args:
            query: The text of the document.
            operation_name: The operation to run; ``None`` if the document has only one.
            variables: The values of the variables, which may be models and uploads.
            kwargs: Further arguments of ``Session.subscribe``, such as ``buffer_size``.
        """
        # The methods that call this are generators. This isn't one: to stop it, dropping it is
        # enough and nothing has to be awaited.
        return self._session.subscribe(
            query,
            self._variables(variables),
            operation_name=operation_name,
            **(_UNCONVERTED | kwargs),
        )

    def _variables(self, variables: Mapping[str, Any] | None) -> dict[str, Any] | None:
        try:
            return None if variables is None else _Variables().without_unset(variables)
        except RecursionError as exc:
            raise TypeError("variables: nested too deeply, or within itself") from exc


def subscribed(
    events: AsyncIterator[_T],
) -> AbstractAsyncContextManager[AsyncGenerator[_T, None]]:
    """End a generated client's subscription with a context.

    Use it as ``async with subscribed(client.countdown(3)) as events``. A subscription's method in
    a generated client is an async generator. Leaving an ``async for`` early leaves the generator to
    the garbage collector. Leaving this context closes it, and the server is told once. Closing
    awaits nothing, so that canceling doesn't prevent it.

    Args:
        events: The async generator that the method returned.

    Raises:
        TypeError: ``events`` has no ``aclose``.
    """
    if not callable(getattr(events, "aclose", None)):
        raise TypeError(
            "subscribed() takes what the method of a subscription returns, "
            f"not a {type(events).__name__}"
        )
    return aclosing(cast("AsyncGenerator[_T, None]", events))


def _is_unset(value: Any) -> bool:
    """Return whether ``value`` is the package's ``UNSET`` or msgspec's."""
    return type(value).__name__ == "UnsetType"


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, list | tuple)


class _Variables:
    """The conversion of one call's variables to the values that a session takes."""

    def __init__(self) -> None:
        self._files: dict[int, FileVar] = {}  # by identity, since a file at two places is sent once

    def without_unset(self, values: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return the values that were given, converted."""
        return {
            name: self._as_session_takes(value)
            for name, value in values.items()
            if not _is_unset(value)
        }

    def _as_session_takes(self, value: Any) -> Any:
        """Convert models to mappings, by alias and without unset fields, and uploads to files.

        Other values, such as dates, decimals and enums, are encoded by the session.
        """
        if value is None or isinstance(value, str | int | float | bytes | FileVar):
            return value
        if is_mapping(value):
            return self.without_unset(value)
        if _is_list(value):
            return [self._as_session_takes(item) for item in value]
        if isinstance(value, _Model):
            return self.without_unset(value.model_dump(by_alias=True, exclude_unset=True))
        if isinstance(value, _Upload):
            return self._files.setdefault(
                id(value),
                FileVar(value.content, filename=value.filename, content_type=value.content_type),
            )
        return value
