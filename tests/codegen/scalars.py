"""The custom scalars of generated packages, as their configuration names them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Color:
    red: int
    green: int
    blue: int


def parse_color(text: str) -> Color:
    return Color(*bytes.fromhex(text.removeprefix("#")))


def serialize_color(value: object) -> object:
    # Also called for optional variables: what is no color (None, UNSET) stays what it is.
    if not isinstance(value, Color):
        return value
    return f"#{bytes([value.red, value.green, value.blue]).hex()}"
