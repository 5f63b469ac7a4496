"""Making requests of operations."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ..documents.request import BuiltOperation, GraphQLRequest, built_request
from .nodes import Fragment
from .operations import Operation
from .positions import NOWHERE, Position
from .printing import NeedsSchema, PrintedType, Printer
from .types import Options, select_type

if TYPE_CHECKING:
    from graphql import GraphQLSchema

__all__ = ["select"]

_T = TypeVar("_T")

#: How many requests are kept, and how many types with their options.
CACHE = 1024


@overload
def select(
    operation: Operation[_T],
    /,
    *fragments: Fragment[Any],
    camel_case: bool = False,
    depth: int | None = None,
    schema: GraphQLSchema | None = None,
) -> GraphQLRequest[_T]: ...


@overload
def select(
    *parts: Operation[Any] | Fragment[Any],
    camel_case: bool = False,
    depth: int | None = None,
    schema: GraphQLSchema | None = None,
) -> GraphQLRequest[Any]: ...


def select(
    *parts: Operation[Any] | Fragment[Any],
    camel_case: bool = False,
    depth: int | None = None,
    schema: GraphQLSchema | None = None,
) -> GraphQLRequest[Any]:
    """Make a request of an operation, or of a document with several.

    The request knows the type of its data, so ``session.execute(request, …)`` returns that type.
    A type is examined once, and a request of the same parts and options is made once.

    Args:
        parts: The operations. Several need names, and a call says which one it runs
            (``operation_name=``). Fragments of Python types are spread wherever those types are
            selected; others are found where they are selected, and need not be given.
        camel_case: Whether a field ``first_name`` of a type is ``firstName``, and arguments that
            are written as keywords too. Data are read, and variables sent, in the same way.
            Default: ``False``.
        depth: How many times a type may be selected within itself. Default: ``None``: a type that
            contains itself is refused.
        schema: The schema, for the GraphQL types of arguments that are given as values, or as
            ``var()``. Default: ``None``: those types have to be written.

    Raises:
        TypeError: A part is neither an operation nor a fragment, or nothing can be selected for a
            type, such as one that contains itself. The message names the field.
        ValueError: The GraphQL type of an argument isn't known, a variable has two types, or
            several operations have no distinct names.
    """
    key = (parts, camel_case, depth)
    if schema is not None or not _is_hashable(key):
        return _build(parts, camel_case, depth, schema)
    request = _kept(*key)
    # Requests that have variables have them in a dictionary of their own.
    return request if request.variable_values is None else request.replace()


def _build(
    parts: tuple[Operation[Any] | Fragment[Any], ...],
    camel_case: bool,
    depth: int | None,
    schema: GraphQLSchema | None = None,
) -> GraphQLRequest[Any]:
    operations = [part for part in parts if isinstance(part, Operation)]
    fragments = tuple(part for part in parts if isinstance(part, Fragment))
    _check(parts, operations, fragments, depth)
    of_types = tuple(each for each in fragments if each.type is not None)
    options = Options(camel_case, depth, of_types)
    printer = Printer(options, _printed_type, NOWHERE if schema is None else Position(schema))
    try:
        for operation in operations:
            printer.add(operation)
    except NeedsSchema as missing:
        raise ValueError(str(missing)) from None
    except RecursionError:
        raise ValueError("the document is nested too deeply") from None
    printed, definitions = printer.finish()
    built = {
        operation.name: BuiltOperation(each.values, *operation.result, camel_case)
        for operation, each in zip(operations, printed, strict=True)
    }
    return built_request("\n\n".join([*(each.text for each in printed), *definitions]), built)


def _check(
    parts: tuple[Any, ...],
    operations: list[Operation[Any]],
    fragments: tuple[Fragment[Any], ...],
    depth: int | None,
) -> None:
    if len(operations) + len(fragments) < len(parts):
        wrong = next(each for each in parts if not isinstance(each, Operation | Fragment))
        raise TypeError(
            "select() takes operations, such as query(…), and fragments, "
            f"not {getattr(wrong, '__name__', type(wrong).__name__)}"
        )
    if not operations:
        raise TypeError("select() takes an operation, such as query(…)")
    names = {operation.name for operation in operations}
    if len(operations) > 1 and (None in names or len(names) < len(operations)):
        raise ValueError("each of several operations needs a name of its own: query(…).named(…)")
    if depth is not None and (depth.__class__ is not int or depth < 0):
        raise ValueError(f"depth is a number of times, from 0 on, not {depth!r}")


def _is_hashable(key: Any) -> bool:
    """Return whether something can be kept; values can't, nor can some metadata of types."""
    try:
        hash(key)
    except TypeError:
        return False
    return True


def _printed_type(type_: Any, options: Options) -> PrintedType | None:
    if _is_hashable((type_, options)):
        return _kept_type(type_, options)
    return _print_type(type_, options)


def _print_type(type_: Any, options: Options) -> PrintedType | None:
    """Print a type's selections; return ``None`` if they depend on the rest of the document."""
    printer = Printer(options, _printed_type)
    try:
        text = printer.selections(select_type(type_, options), NOWHERE)
    except NeedsSchema:
        return None
    if any(isinstance(key, int) for key in printer.scope):
        return None
    return PrintedType(text, printer.scope, printer.fragments)


_kept = lru_cache(CACHE)(_build)
_kept_type = lru_cache(CACHE)(_print_type)
