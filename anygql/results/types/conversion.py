"""Conversion of a result's data to a type of the user's.

The type may be a dataclass, an attrs class, a TypedDict, a msgspec Struct, a pydantic model, or a
collection or union of them. Each type is examined once, before a request is sent.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from .shapes import Mismatch

__all__ = ["Conversion", "ResultTypeError", "conversion", "converter"]

_T = TypeVar("_T")

#: How many converters are kept.
TYPE_CACHE = 1024


class ResultTypeError(ValueError):
    """The data of a valid response can't be converted to the ``result_type``.

    The message quotes no data. ``__cause__``, the error of msgspec or pydantic, may quote some.

    Args:
        message: What doesn't fit, and where.
        path: The path to the value that doesn't fit, in GraphQL's names, such as
            ``("users", 3, "firstName")``.
        data: The whole data, as the call would have returned it without a ``result_type``.
    """

    __module__ = "anygql"

    def __init__(self, message: str = "", *, path: tuple[str | int, ...] = (), data: Any = None):
        super().__init__(message)
        self.path = path
        self.data = data


class Conversion(NamedTuple, Generic[_T]):
    """How data become values of a type."""

    #: Converts plain data, or raises ``ResultTypeError``.
    convert: Callable[[Any], _T]
    #: Converts JSON text, or raises anything: then the plain data in it are to be converted.
    #: ``None`` if only plain data can be converted.
    decode: Callable[[Any], _T] | None


def converter(
    type: TypeForm[_T],
    *,
    camel_case: bool = False,
    path: tuple[str, ...] = (),
    partial: bool = False,
) -> Callable[[Any], _T]:
    """Return a function that converts data to ``type``, or raises ``ResultTypeError``.

    Arguments and errors are those of ``conversion``.
    """
    return conversion(type, camel_case=camel_case, path=path, partial=partial).convert


def conversion(
    type: TypeForm[_T],
    *,
    camel_case: bool = False,
    path: tuple[str, ...] = (),
    partial: bool = False,
    of_answers: bool = False,
    parsed: bool = False,
) -> Conversion[_T]:
    """Return how data are converted to ``type``.

    A field ``typename__`` is filled from ``__typename``. ``__typename`` chooses among several types
    with fields: by the tag of a Struct, by the ``Literal`` type of ``typename__``, or else by the
    name of the class. Data may contain Python values of a schema's scalars and enums.

    Args:
        type: The type to convert to.
        camel_case: Whether a field ``first_name`` is filled from ``firstName``, or if that is
            missing from ``first_name``; ``False`` by default. Names that the type itself declares
            (msgspec's ``rename``, pydantic's aliases) and the keys of a ``dict`` stay.
        path: The response keys that lead to the data to convert; empty for the whole data.
        partial: Whether data that don't reach the end of ``path`` are ``None``, and no error.
        of_answers: Whether the data are those of answers, which are objects, and hold instances of
            other classes only if they are ``parsed``. Types that don't fit those are refused.
        parsed: Whether a schema makes Python values of scalars in the data.

    Raises:
        TypeError: No data can be converted to ``type``. The message names the field.
    """
    hint: Any = type
    options = (camel_case, path, partial, of_answers, parsed)
    try:
        hash(hint)
    except TypeError:  # metadata of Annotated may be anything
        return _conversion(hint, *options)
    return _cached(hint, *options)


def _conversion(
    type: Any,
    camel_case: bool,
    path: tuple[str, ...],
    partial: bool,
    of_answers: bool,
    parsed: bool,
) -> Conversion[Any]:
    from .decoding import decoder_of  # only sessions that use types need these
    from .paths import at_path, hint_at_path
    from .possible import refuse_impossible
    from .shapes import Mismatch
    from .shaping import shape_of

    shape = shape_of(type, renames=camel_case)
    if of_answers:
        refuse_impossible(shape, whole=not path, parsed=parsed)
    read = shape.read

    def convert(data: Any) -> Any:
        try:
            return read(data)
        except Mismatch as mismatch:
            # Deeper down, the type fits the top, and something within is wrong.
            hint = hint_at_path(read, data) if len(mismatch.path) <= 1 else ""
            raise _error(mismatch, data, hint) from mismatch.cause

    def convert_at_path(data: Any) -> Any:
        try:
            found = at_path(data, path)
        except Mismatch as mismatch:
            if partial:
                return None
            raise _error(mismatch, data) from None
        try:
            return read(found)
        except Mismatch as mismatch:
            mismatch.path.extend(reversed(path))
            raise _error(mismatch, data) from mismatch.cause

    decode = None if partial or parsed else decoder_of(shape, path)
    return Conversion(convert_at_path if path else convert, decode)


_cached = lru_cache(TYPE_CACHE)(_conversion)


def _error(mismatch: Mismatch, data: Any, hint: str = "") -> ResultTypeError:
    path = tuple(reversed(mismatch.path))
    at = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    where = f" ({mismatch.where})" if mismatch.where else ""
    return ResultTypeError(f"data{at}: {mismatch.what}{where}{hint}", path=path, data=data)
