"""Files as variables: found, mapped, and laid out as the fields of a multipart request.

https://github.com/jaydenseric/graphql-multipart-request-spec. Nothing is read or opened here.
"""

from __future__ import annotations

import io
import mimetypes
import os
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import IO, Any, TypeAlias, TypeGuard

import msgspec

__all__ = [
    "FileVar",
    "UploadField",
    "UploadFile",
    "extract_batch_files",
    "extract_files",
    "upload_fields",
]

#: What a ``FileVar`` holds: a path, the bytes, an open binary file, or bytes as they come.
UploadFile: TypeAlias = "str | os.PathLike[str] | bytes | IO[bytes] | AsyncIterable[bytes]"

#: Each file, and the paths in the operations at which it stands.
_Files: TypeAlias = "list[tuple[FileVar, list[str]]]"


class FileVar:
    """A file as a variable's value, sent with the request.

    ``file`` is a path (a ``str`` is one), bytes, a binary file or an async iterator of bytes.
    ``filename`` and ``content_type`` are guessed from it if they are not given. One ``FileVar`` at
    several places is sent once.
    """

    __slots__ = ("_content_type", "_filename", "file", "used")

    file: UploadFile
    #: Whether the content has been read, of a file that is not ``replayable``.
    used: bool

    def __init__(
        self,
        file: UploadFile,
        *,
        filename: str | None = None,
        content_type: str | None = None,
    ) -> None:
        if isinstance(file, io.TextIOBase):
            raise TypeError("a file to upload must be opened in binary mode")
        if isinstance(file, bytearray | memoryview):
            file = bytes(file)
        if not isinstance(file, str | bytes | os.PathLike | AsyncIterable) and not hasattr(  # pyright: ignore[reportUnnecessaryIsInstance]
            file, "read"
        ):
            raise TypeError(
                "a file to upload is a path, bytes, a binary file or an async iterator of bytes, "
                f"not {type(file).__name__}"
            )
        self.file = file
        self.used = False
        self._filename = filename
        self._content_type = content_type

    @property
    def filename(self) -> str:
        """The name as given, or the file's own; servers take a field without one for text."""
        return self._filename or self._own_name() or "file"

    def _own_name(self) -> str:
        file = self.file
        path = file if isinstance(file, str | os.PathLike) else getattr(file, "name", None)
        if not isinstance(path, str | bytes | os.PathLike):  # an open file may have a number
            return ""
        return os.path.basename(os.fsdecode(path))  # pyright: ignore[reportUnknownArgumentType]

    @property
    def content_type(self) -> str:
        """The media type as given, or that of the file name's extension."""
        guessed = self._content_type or mimetypes.guess_type(self.filename)[0]
        return guessed or "application/octet-stream"

    @property
    def replayable(self) -> bool:
        """Whether the content can be had again; an open file or an iterator is used up."""
        return isinstance(self.file, str | bytes | os.PathLike)

    def __repr__(self) -> str:
        size = f", {len(self.file)} bytes" if isinstance(self.file, bytes) else ""
        return f"<FileVar {self.filename!r}{size}>"


@dataclass(frozen=True, slots=True)
class UploadField:
    """One field of a ``multipart/form-data`` request: JSON text, or a file."""

    name: str
    value: bytes | FileVar


def extract_files(variables: Any) -> tuple[Any, _Files]:
    """The variables with null at each file, and the files with their paths, in order.

    Files are looked for in mappings, sequences, dataclasses and Structs. Variables without files
    are given back as they are; nothing is changed in place. Raises ``TypeError`` for variables
    nested within themselves.
    """
    search = _FileSearch()
    return search.replaced(variables, "variables"), search.files


def extract_batch_files(batch: Iterable[Any]) -> tuple[list[Any], _Files]:
    """``extract_files`` for the variables of each request of a batch; paths begin with its index.

    A file in several requests is one.
    """
    search = _FileSearch()
    replaced = [search.replaced(item, f"{index}.variables") for index, item in enumerate(batch)]
    return replaced, search.files


def upload_fields(operations: bytes, files: _Files) -> list[UploadField]:
    """The fields of the request in their order: operations, map, files.

    ``operations`` is the JSON text of the request, or of the array of them, files being null.
    """
    named = [(str(number), file, paths) for number, (file, paths) in enumerate(files)]
    return [
        UploadField("operations", operations),
        UploadField("map", msgspec.json.encode({name: paths for name, _, paths in named})),
        *(UploadField(name, file) for name, file, _ in named),
    ]


# Nearly all values are of these, and hold no file.
_FILELESS = frozenset({str, int, float, bool, type(None)})

# A path as its last key and the path before that: written out only for a file.
_Path: TypeAlias = "tuple[_Path | None, Any]"


def _dotted(path: _Path) -> str:
    before, key = path
    return str(key) if before is None else f"{_dotted(before)}.{key}"


class _FileSearch:
    """The files of one request."""

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
        if _is_list(value):
            items = [self._replaced(item, (path, index)) for index, item in enumerate(value)]
            return value if _are_identical(items, value) else items
        members = _input_members(value)
        if members is None:
            return value
        replaced = {key: self._replaced(item, (path, key)) for key, item in members.items()}
        return value if _are_identical(replaced.values(), members.values()) else replaced


def _is_list(value: Any) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def _are_identical(values: Iterable[Any], others: Iterable[Any]) -> bool:
    return all(value is other for value, other in zip(values, others, strict=True))


def _input_members(value: Any) -> Mapping[Any, Any] | None:
    """The members of an input object, in whatever form, by the names that they have as JSON."""
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
