"""Files as variables: finding them, and laying out the fields of a multipart request.

This follows https://github.com/jaydenseric/graphql-multipart-request-spec. No file is opened or
read here.
"""

from __future__ import annotations

import io
import mimetypes
import os
from collections.abc import AsyncIterable, Awaitable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import IO, Any, Protocol, TypeAlias, cast

import msgspec

from ..json import is_sequence

__all__ = [
    "AsyncReader",
    "FileVar",
    "UploadField",
    "UploadFile",
    "extract_batch_files",
    "extract_files",
    "upload_fields",
]


class AsyncReader(Protocol):
    """A file or stream that is read asynchronously, such as ``anyio.open_file`` opens."""

    def read(self, size: int = ..., /) -> Awaitable[bytes]:
        """Return up to ``size`` bytes, or ``b""`` at the end."""
        ...


#: The content of a ``FileVar``: a path, bytes, an open binary file or stream, or an iterator.
UploadFile: TypeAlias = (
    "str | os.PathLike[str] | bytes | IO[bytes] | AsyncIterable[bytes] | AsyncReader"
)

#: Each file with its paths in the operations.
_Files: TypeAlias = "list[tuple[FileVar, list[str]]]"


class FileVar:
    """A file as the value of a variable, which is sent with the request.

    A ``FileVar`` that is at several places in the variables is sent once. The file is opened when
    the request is sent.

    Args:
        file: A path (a ``str`` is one), bytes, an open binary file, an async iterator of bytes, or
            an async file or stream with ``read`` (anyio's, trio's, ``asyncio.StreamReader``).
        filename: The name to send; by default the name of ``file``, or ``"file"``.
        content_type: The media type to send; by default guessed from the file name's extension, or
            ``"application/octet-stream"``.

    Raises:
        TypeError: ``file`` is none of these, or is opened in text mode.
    """

    __slots__ = ("_content_type", "_filename", "file", "used")

    #: For messages, where a file is to be encoded as JSON.
    no_json_form = (
        "files go over HTTP only, and there in mappings, lists, dataclasses and Structs: send this "
        "operation by an HTTPTransport"
    )

    file: UploadFile
    #: Whether the content of a file that is not ``replayable`` has been read.
    used: bool

    def __init__(
        self,
        file: UploadFile,
        *,
        filename: str | None = None,
        content_type: str | None = None,
    ) -> None:
        # The async files of anyio and trio have the file that they wrap.
        if isinstance(getattr(file, "wrapped", file), io.TextIOBase):
            raise TypeError("a file to upload must be opened in binary mode")
        if isinstance(file, bytearray | memoryview):
            file = bytes(file)
        if not isinstance(file, str | bytes | os.PathLike | AsyncIterable) and not hasattr(  # pyright: ignore[reportUnnecessaryIsInstance]
            file, "read"
        ):
            raise TypeError(
                "a file to upload is a path, bytes, a binary file, an async file or stream, or an "
                "async iterator of bytes, "
                f"not {type(file).__name__}"
            )
        self.file = file
        self.used = False
        self._filename = filename
        self._content_type = content_type

    @property
    def filename(self) -> str:
        """The name as given, or that of the file. Servers take a field without a name for text."""
        return self._filename or self._own_name() or "file"

    def _own_name(self) -> str:
        file = self.file
        if isinstance(file, str | os.PathLike):
            path: Any = file
        else:
            path = getattr(file, "name", None) or getattr(file, "filename", None)
        if not isinstance(
            path, str | bytes | os.PathLike
        ):  # the name of an open file may be a number
            return ""
        return os.path.basename(os.fsdecode(path))  # pyright: ignore[reportUnknownArgumentType]

    @property
    def content_type(self) -> str:
        """The media type as given, or guessed from the file name's extension."""
        guessed = self._content_type or mimetypes.guess_type(self.filename)[0]
        return guessed or "application/octet-stream"

    @property
    def replayable(self) -> bool:
        """Whether the content can be read again, unlike that of an open file or an iterator."""
        return isinstance(self.file, str | bytes | os.PathLike)

    def __repr__(self) -> str:
        size = f", {len(self.file)} bytes" if isinstance(self.file, bytes) else ""
        return f"<FileVar {self.filename!r}{size}>"


@dataclass(frozen=True, slots=True)
class UploadField:
    """One field of a ``multipart/form-data`` request: a JSON text or a file."""

    name: str
    value: bytes | FileVar


def extract_files(variables: Any) -> tuple[Any, _Files]:
    """Return the variables with null in the place of files, and the files with their paths.

    Files are looked for in mappings, sequences, dataclasses and Structs. Variables without files
    are returned themselves; nothing is changed in place.

    Raises:
        TypeError: The variables are nested too deeply, or contain themselves.
    """
    if variables is None or _is_plain(variables):
        return variables, []
    search = _FileSearch()
    return search.replaced(variables, "variables"), search.files


def extract_batch_files(batch: Iterable[Any]) -> tuple[list[Any], _Files]:
    """Extract the files of a batch's variables; paths begin with the index of the request.

    A file that is in several requests is listed once. Raises as ``extract_files`` does.
    """
    search = _FileSearch()
    replaced = [search.replaced(item, f"{index}.variables") for index, item in enumerate(batch)]
    return replaced, search.files


def upload_fields(operations: bytes, files: _Files) -> list[UploadField]:
    """Return the fields of the request in order: operations, map, files.

    Args:
        operations: The JSON text of the request, or of the array of requests of a batch, with null
            in the place of files.
        files: The files and their paths.
    """
    named = [(str(number), file, paths) for number, (file, paths) in enumerate(files)]
    return [
        UploadField("operations", operations),
        UploadField("map", msgspec.json.encode({name: paths for name, _, paths in named})),
        *(UploadField(name, file) for name, file, _ in named),
    ]


# The types of nearly all values, which contain no file.
_FILELESS = frozenset({str, int, float, bool, type(None)})


def _is_plain(variables: Any) -> bool:
    """Return whether these are certainly variables without files: most are."""
    if type(variables) is not dict:
        return False
    values = cast("dict[str, object]", variables).values()
    return _FILELESS.issuperset(map(type, values))


# The path before the last key, and that key. It is written out only for a file.
_Path: TypeAlias = "tuple[_Path | None, Any]"


def _dotted(path: _Path) -> str:
    before, key = path
    return str(key) if before is None else f"{_dotted(before)}.{key}"


class _FileSearch:
    """The search for the files of one request or batch."""

    def __init__(self) -> None:
        self._paths: dict[FileVar, list[str]] = {}  # by identity, in order

    @property
    def files(self) -> _Files:
        return list(self._paths.items())

    def replaced(self, variables: Any, path: str) -> Any:
        try:
            return self._replaced(variables, (None, path))
        except RecursionError as exc:
            raise TypeError("variables: nested too deeply, or within itself") from exc

    def _replaced(self, value: Any, path: _Path) -> Any:
        if type(value) in _FILELESS:
            return value
        if isinstance(value, FileVar):
            self._paths.setdefault(value, []).append(_dotted(path))
            return None
        if is_sequence(value):
            items = [self._replaced(item, (path, index)) for index, item in enumerate(value)]
            return value if _are_identical(items, value) else items
        members = _input_members(value)
        if members is None:
            return value
        replaced = {key: self._replaced(item, (path, key)) for key, item in members.items()}
        return value if _are_identical(replaced.values(), members.values()) else replaced


def _are_identical(values: Iterable[Any], others: Iterable[Any]) -> bool:
    return all(value is other for value, other in zip(values, others, strict=True))


def _input_members(value: Any) -> Mapping[Any, Any] | None:
    """Return the members of an input object by their names in JSON, or ``None`` for others."""
    if isinstance(value, Mapping):
        return value  # pyright: ignore[reportUnknownVariableType]
    members: dict[Any, Any]
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        members = {config.tag_field: config.tag} if config.tag_field else {}
        for field in msgspec.structs.fields(value):
            members[field.encode_name] = getattr(value, field.name)
    elif is_dataclass(value) and not isinstance(value, type):
        members = {field.name: getattr(value, field.name) for field in fields(value)}
    else:
        return None
    return {name: member for name, member in members.items() if member is not msgspec.UNSET}
