"""What is done to a request before it is sent, and to its results before they are handed out.

By the schema, if the client has one: the document is validated, variables are serialised and
results parsed. Then, by the caller's type, if there is one: data become values of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..documents.request import GraphQLRequest
from ..exceptions import TransportProtocolError
from ..results.result import ExecutionResult, data_or_raise

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from ..schema.client_schema import ClientSchema

__all__ = ["Conversions", "PreparedRequest"]

_T = TypeVar("_T")


class Conversions(msgspec.Struct, frozen=True):
    """What a client's options, or those of one call, ask for."""

    serialize_variables: bool = False
    parse_results: bool = False
    camel_case: bool = False

    def override(
        self,
        serialize_variables: bool | None = None,
        parse_results: bool | None = None,
        camel_case: bool | None = None,
    ) -> Conversions:
        """These, with what one call says otherwise (``None``: nothing)."""
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
    ) -> PreparedRequest:
        """The request as it is to be sent, and what is to be done to its results.

        Raises what is wrong with it: ``GraphQLValidationError``, ``VariableError`` or another
        ``ValueError``, ``TypeError``. Nothing was sent then.
        """
        parse: Callable[[Any], Any] | None = None
        serialize: Callable[[GraphQLRequest], GraphQLRequest] | None = None
        if schema is not None:
            schema.validate(request.source)
            if self.serialize_variables:
                serialize = schema.serialized
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
        to_type: Callable[[Any], Any] | None = None
        if result_type is not None:
            from ..results.types import converter

            to_type = converter(result_type, camel_case=self.camel_case)
        return PreparedRequest(request, serialize, parse, to_type)


class PreparedRequest(msgspec.Struct, frozen=True, eq=False):
    """One request that may be sent."""

    request: GraphQLRequest
    _serialize: Callable[[GraphQLRequest], GraphQLRequest] | None
    _parse: Callable[[Any], Any] | None
    _to_type: Callable[[Any], Any] | None

    def with_variables(self, variables: Mapping[str, Any]) -> GraphQLRequest:
        """The request with other variables; raises likewise."""
        request = self.request.replace(variable_values=variables)
        return request if self._serialize is None else self._serialize(request)

    def result(self, result: ExecutionResult) -> ExecutionResult:
        """A result with its data parsed; raises ``TransportProtocolError`` if it doesn't fit.

        Data that come with errors stay as they came then, so that the errors are told.
        """
        if self._parse is None:
            return result
        try:
            data = self._parse(result.data)
        except TransportProtocolError:
            if not result.errors:
                raise
            return result
        return ExecutionResult(data, result.errors, result.extensions)

    def to_type(self, result: ExecutionResult) -> Any:
        """The data of what ``result`` gave, as the type that was asked for.

        Raises ``TransportQueryError`` for a result with errors, and ``ResultTypeError``.
        """
        data = data_or_raise(result)
        return data if self._to_type is None else self._to_type(data)

    @property
    def data(self) -> Callable[[ExecutionResult], Any]:
        """``to_type`` of a result as it came: chosen once, since it is called for each."""
        if self._parse is None:
            return data_or_raise if self._to_type is None else self.to_type
        return self._data

    def _data(self, result: ExecutionResult) -> Any:
        return self.to_type(self.result(result))

    def best_effort(self, result: ExecutionResult) -> Any:
        """What of a result's data can be made, for whoever is told of the last one.

        A result with errors stays as it was parsed, and so does one that is no such type; one
        that can't be parsed stays as it came. Their consumer is who gets the error.
        """
        from ..results.types import ResultTypeError

        result = self.best_effort_result(result)
        try:
            return result.data if result.errors else self.to_type(result)
        except ResultTypeError as error:
            return error.data

    def best_effort_result(self, result: ExecutionResult) -> ExecutionResult:
        """``result``, or the result as it came if it can't be parsed."""
        try:
            return self.result(result)
        except TransportProtocolError:
            return result
