"""What is done to a request before it is sent, and to its results before they are handed out.

If the client has a schema, the document is validated, variables are serialized and results parsed.
If the caller names a type, the data are converted to it after that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..documents.request import GraphQLRequest
from ..exceptions import TransportProtocolError
from ..results.result import ExecutionResult, data_or_raise, decode_data, json_text, with_data

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from ..schema.client_schema import ClientSchema

__all__ = ["Conversions", "PreparedRequest"]

_T = TypeVar("_T")


class Conversions(msgspec.Struct, frozen=True):
    """The conversions that a client asks for, or one call."""

    serialize_variables: bool = False
    parse_results: bool = False
    camel_case: bool = False

    def override(
        self,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
    ) -> Conversions:
        """Return these with the options of one call, where those aren't ``None``."""
        if serialize_variables is None and parse_results is None and camel_case is None:
            return self
        return Conversions(
            self.serialize_variables if serialize_variables is None else serialize_variables,
            self.parse_results if parse_results is None else parse_results,
            self.camel_case if camel_case is None else camel_case,
        )

    def prepare(
        self,
        request: GraphQLRequest,
        schema: ClientSchema | None,
        result_type: TypeForm[_T] | None = None,
        path: str | None = None,
        *,
        is_partial: bool = False,
        may_drop: bool = False,
        server: Callable[[], str] = lambda: "the server",
    ) -> PreparedRequest:
        """Prepare a request to be sent, and its results to be converted.

        Args:
            request: The request.
            schema: The client's schema, if there is one.
            result_type: The type of the data, or of the part at ``path``.
            path: The response keys that lead to the data to return, with dots between them.
            is_partial: Whether data that don't reach the end of ``path`` are ``None``.
            may_drop: Whether results may be dropped that nobody has looked at.
            server: Returns the server's description for messages. It isn't free, and rarely needed.

        Raises ``GraphQLValidationError``, ``VariableError`` or another ``ValueError``, or
        ``TypeError`` when something is wrong with the request, or with ``path``.
        """
        parse: Callable[[Any], Any] | None = None
        serialize: Callable[[GraphQLRequest], GraphQLRequest] | None = None
        if schema is not None:
            schema.validate(request.source)
            if self.serialize_variables:
                serialize = partial(schema.serialized, camel_case=self.camel_case)
                request = serialize(request)
            if self.parse_results:
                plan = schema.results_plan(request)
                parse = None if plan.parses_nothing else plan
        elif self.serialize_variables or self.parse_results:
            option = "serialize_variables" if self.serialize_variables else "parse_results"
            raise ValueError(
                f"{option} needs a schema: give the client schema= or fetch_schema=True, or call "
                "session.fetch_schema() first"
            )
        if serialize is None:
            serialize = _in_camel_case if self.camel_case else _checked
            request = serialize(request)
        if result_type is None and path is None:
            return PreparedRequest(request, serialize, parse, None, None, server)
        from ..results.types import conversion

        convert, decode = conversion(
            Any if result_type is None else result_type,
            camel_case=self.camel_case,
            path=() if path is None else _response_keys(path, request),
            partial=is_partial,
            of_answers=True,
            parsed=parse is not None,
        )
        if decode is not None or may_drop:
            request = request.taking_json()
        return PreparedRequest(request, serialize, parse, convert, decode, server)


def _checked(request: GraphQLRequest) -> GraphQLRequest:
    request.check_variables()
    return request


def _in_camel_case(request: GraphQLRequest) -> GraphQLRequest:
    from .input_names import in_camel_case

    request.check_variables()
    return in_camel_case(request)


def _response_keys(path: str, request: GraphQLRequest) -> tuple[str, ...]:
    """Return the keys of a dotted path, which the request must select."""
    if not isinstance(path, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f'path is a text of response keys, such as "orders.nodes", not {type(path).__name__}'
        )
    keys = tuple(path.split("."))
    if not all(key.isidentifier() and key.isascii() for key in keys):
        raise ValueError(
            f'path is made of response keys with dots between them, such as "orders.nodes", '
            f"not {path!r}"
        )
    request.check_path(keys)
    return keys


class PreparedRequest(msgspec.Struct, frozen=True, eq=False):
    """A request that may be sent, and how its results are converted."""

    request: GraphQLRequest
    _serialize: Callable[[GraphQLRequest], GraphQLRequest]
    _parse: Callable[[Any], Any] | None
    _convert: Callable[[Any], Any] | None
    _decode: Callable[[Any], Any] | None
    _server: Callable[[], str]

    def with_variables(self, variables: Mapping[str, Any]) -> GraphQLRequest:
        """Return the request with other variables. Raises as ``prepare`` does."""
        request = self.request.replace(variable_values=variables)
        return self._serialize(request)

    def parse_result(self, result: ExecutionResult) -> ExecutionResult:
        """Return a result with its data parsed by the schema.

        Raises ``TransportProtocolError`` if the data don't fit the schema. If there are errors too,
        the data stay as they came, so that the caller learns of the errors.
        """
        if self._parse is None:
            return result
        try:
            data = self._parse(result.data)
        except TransportProtocolError:
            if not result.errors:
                raise
            return result
        return with_data(result, data)

    def convert_data(self, result: ExecutionResult) -> Any:
        """Return the data of a parsed result, as the type that the caller named.

        Raises ``TransportQueryError`` for a result with errors, and ``ResultTypeError``.
        """
        text = json_text(result)
        if text is not None:  # with errors, the data are never that
            if self._decode is not None:
                try:
                    return self._decode(text)
                except Exception:  # noqa: BLE001, S110 - the plain data show what is wrong, and where
                    pass
            decode_data(result, self._server())
        data = data_or_raise(result)
        return data if self._convert is None else self._convert(data)

    @property
    def read_data(self) -> Callable[[ExecutionResult], Any]:
        """The function that makes data of a result: chosen once, since it runs for each result."""
        if self._parse is None:
            return data_or_raise if self._convert is None else self.convert_data
        return self._parse_and_convert

    def _parse_and_convert(self, result: ExecutionResult) -> Any:
        if json_text(result) is not None:
            decode_data(result, self._server())
        return self.convert_data(self.parse_result(result))

    def best_effort_data(self, result: ExecutionResult) -> Any:
        """Return the data of a result as far as they can be converted; raise nothing.

        This is for ``on_resubscribe``, which is told the last data; their consumer gets the error.
        Data that come with errors, or don't fit the type, are only parsed. If that fails, they stay
        as they came. Data that can't be read at all are ``None``.
        """
        from ..results.types import ResultTypeError

        result = self.best_effort_result(result)
        try:
            return result.data if result.errors else self.convert_data(result)
        except ResultTypeError as error:
            return error.data
        except TransportProtocolError:
            return None

    def best_effort_result(self, result: ExecutionResult) -> ExecutionResult:
        """Return a result parsed by the schema, or as it came if it can't be parsed."""
        try:
            return self.parse_result(result)
        except TransportProtocolError:
            return result
