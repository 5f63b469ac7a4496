"""The custom scalars of generated packages, as their configuration names them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Colour:
    red: int
    green: int
    blue: int


def parse_colour(text: str) -> Colour:
    return Colour(*bytes.fromhex(text.removeprefix("#")))


def serialize_colour(value: object) -> object:
    # Also called for optional variables: what is no colour (None, UNSET) stays what it is.
    if not isinstance(value, Colour):
        return value
    return f"#{bytes([value.red, value.green, value.blue]).hex()}"
