"""What a cassette leaves out: values under the names of secrets."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, cast

from ..documents.files import FileVar

__all__ = ["REDACTED", "SECRET_NAMES", "Redaction"]

#: What stands in the place of a secret text.
REDACTED = "REDACTED"

#: The names under which a ``Recorder`` writes no value. A name of a variable, field, header or
#: argument is one of them if it ends with one, whatever its case, hyphens and underscores:
#: ``accessToken``, ``X-Api-Key`` and ``new_password`` are.
SECRET_NAMES: tuple[str, ...] = (
    "access-key",
    "api-key",
    "authorization",
    "cookie",
    "cookies",
    "credential",
    "credentials",
    "jwt",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "private-key",
    "secret",
    "secrets",
    "session-id",
    "session-key",
    "signature",
    "token",
)

#: Names that end with one of those, and are no secrets: a place in a list of pages.
_PLACES = ("continuationtoken", "nexttoken", "pagetoken", "previoustoken")

#: A name, a colon and a string, in a document or in JSON: the string is in the last group.
_NAMED_STRING = re.compile(
    r'((?<![\w-])"?(?P<name>[A-Za-z_][\w-]*)"?\s*:\s*)'
    r'(?P<string>"""(?:\\"""|(?!""").)*"""|"(?:[^"\\\n]|\\.)*"?)',
    re.DOTALL,
)

#: An argument or input field whose value is a variable, and a field with an alias.
_VARIABLE_USE = re.compile(r"([A-Za-z_]\w*)\s*:\s*\$([A-Za-z_]\w*)")
_ALIAS = re.compile(r"(?<![\w$])([A-Za-z_]\w*)\s*:\s*([A-Za-z_]\w*)")

#: Credentials as they stand in a header.
_CREDENTIALS = re.compile(r"\b(Basic|Bearer)\s+[\w.~+/=-]{8,}")

#: A URL's user and password, and a parameter of its query.
_USER_INFO = re.compile(r"(?<=://)[^\s/?#@\"'<>]+(?=@)")
_PARAMETER = re.compile(r"(?<=[?&;])([\w.~%-]+)=([^\s&;#\"'<>]+)")


def _normalized(name: str) -> str:
    return re.sub(r"[-_\s]", "", name).lower()


class Redaction:
    """Leaves out what stands under the names of secrets.

    Raises ``TypeError`` for a text in the place of several names.
    """

    def __init__(self, names: Collection[str]) -> None:
        if isinstance(names, str):
            raise TypeError("secrets are several names, not one text: write secrets=[…]")
        self.names = tuple(names)
        self._endings = tuple(_normalized(name) for name in names)
        self._known: dict[str, bool] = {}

    def is_secret(self, name: str) -> bool:
        """Return whether values under this name are left out."""
        known = self._known.get(name)
        if known is None:
            plain = _normalized(name)
            known = plain.endswith(self._endings) and not plain.endswith(_PLACES)
            self._known[name] = known
        return known

    def value(
        self, value: Any, others: Collection[str] = (), *, is_under_secret: bool = False
    ) -> Any:
        """Return a JSON value without its secrets, of the same shape; files as their names.

        Args:
            value: The value.
            others: More names of secrets, such as aliases: whole names.
            is_under_secret: Whether it stands under the name of a secret itself.
        """
        if isinstance(value, Mapping):
            members = cast("Mapping[str, Any]", value)
            return {
                name: self.value(
                    member,
                    others,
                    is_under_secret=is_under_secret or name in others or self.is_secret(name),
                )
                for name, member in members.items()
            }
        if isinstance(value, list):
            items = cast("list[Any]", value)
            return [self.value(item, others, is_under_secret=is_under_secret) for item in items]
        if isinstance(value, FileVar):
            return {"file": value.filename, "content_type": value.content_type}
        if isinstance(value, str):
            return REDACTED if is_under_secret else self._plain(value)
        if not is_under_secret or value is None or isinstance(value, bool):
            return value
        return 0

    def secret_variables(self, document: str) -> set[str]:
        """Return the variables that a document uses as arguments or fields with secret names."""
        uses = _VARIABLE_USE.findall(document)
        return {variable for name, variable in uses if self.is_secret(name)}

    def secret_aliases(self, document: str) -> set[str]:
        """Return the response keys under which a document asks for fields with secret names."""
        return {alias for alias, field in _ALIAS.findall(document) if self.is_secret(field)}

    def text(self, text: str) -> str:
        """Return a document, or a text with JSON in it, without its secrets."""
        return self._plain(_NAMED_STRING.sub(self._string, text))

    def _plain(self, text: str) -> str:
        """Return a text without credentials as they stand in headers and URLs."""
        text = _CREDENTIALS.sub(rf"\1 {REDACTED}", text)
        if "=" in text:
            text = _PARAMETER.sub(self._parameter, text)
        return _USER_INFO.sub(REDACTED, text) if "://" in text else text

    def _parameter(self, match: re.Match[str]) -> str:
        return f"{match[1]}={REDACTED}" if self.is_secret(match[1]) else match[0]

    def _string(self, match: re.Match[str]) -> str:
        if not self.is_secret(match["name"]):
            return match[0]
        return f'{match[1]}"{REDACTED}"'
