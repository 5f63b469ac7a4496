"""Results as values of the user's own types.

Dataclasses, attrs classes, TypedDicts, msgspec Structs, pydantic models, and what is built of
them. Each type is looked at once, before anything is sent; what can't be read is refused then.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing_extensions import TypeForm

    from .shapes import Mismatch

__all__ = ["ResultTypeError", "converter"]

_T = TypeVar("_T")

#: How many types stay looked at.
TYPE_CACHE = 1024


class ResultTypeError(ValueError):
    """Data that can't become the type that was asked for; the answer itself is fine.

    ``path`` leads to where it fails, in GraphQL's names: ``("users", 3, "firstName")``. ``data``
    is the whole data, as it would be without a type: what a mutation has done is not lost. The
    message quotes none of it; its ``__cause__``, which is msgspec's or pydantic's error, may.
    """

    __module__ = "anygql"

    def __init__(self, message: str = "", *, path: tuple[str | int, ...] = (), data: Any = None):
        super().__init__(message)
        self.path = path
        self.data = data


def converter(type: TypeForm[_T], *, camel_case: bool = False) -> Callable[[Any], _T]:
    """What turns the data of a result into a ``type``, and raises ``ResultTypeError``.

    ``camel_case``: a field ``first_name`` is filled from ``firstName`` (or else from
    ``first_name``), unless the type says itself what the field is called in data (msgspec's
    ``rename``, pydantic's aliases). Keys of a ``dict`` are data, and stay as they are.

    A field ``typename__`` is filled from ``__typename``. Among several types with fields,
    ``__typename`` decides: by the tag of a Struct, the ``Literal`` type of ``typename__``, or
    else the name of the class.

    Data may hold Python values already, as a schema's scalars and enums make them. Raises
    ``TypeError``, naming the field, for a type that no data can be read as.
    """
    hint: Any = type
    try:
        hash(hint)
    except TypeError:  # metadata of Annotated may be anything
        return _converter(hint, camel_case)
    return _cached(hint, camel_case)


def _converter(type: Any, camel_case: bool) -> Callable[[Any], Any]:
    from .shapes import Mismatch  # needed by sessions with types only
    from .shaping import shape_of

    read = shape_of(type, renames=camel_case).read

    def convert(data: Any) -> Any:
        try:
            return read(data)
        except Mismatch as mismatch:
            raise _error(mismatch, data) from mismatch.cause

    return convert


_cached = lru_cache(TYPE_CACHE)(_converter)


def _error(mismatch: Mismatch, data: Any) -> ResultTypeError:
    path = tuple(reversed(mismatch.path))
    at = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    where = f" ({mismatch.where})" if mismatch.where else ""
    return ResultTypeError(f"data{at}: {mismatch.what}{where}", path=path, data=data)
