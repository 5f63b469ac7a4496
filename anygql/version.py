"""The version of this package, here and nowhere else: the build reads it from this file."""

from __future__ import annotations

__all__ = ["VERSION"]

#: Reading it from installed metadata instead would take milliseconds.
VERSION = "0.1.0"

#: The same, under the name that `anygql.__version__` is imported by.
__version__ = VERSION
