"""anygql.blocking, as its documentation has it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import anygql
from anygql.blocking import Client, Session

__all__ = ["open_http", "open_websocket"]


class _Session:
    request = anygql.GraphQLRequest

    def __init__(self, session: Session) -> None:
        self.execute = session.execute
        self.subscribe = session.subscribe


@contextmanager
def open_websocket(backend: str, port: int) -> Generator[_Session]:
    with Client(f"ws://127.0.0.1:{port}/", backend=backend) as session:
        yield _Session(session)


@contextmanager
def open_http(backend: str, port: int, size: int) -> Generator[_Session]:
    with Client(f"http://127.0.0.1:{port}/http/{size}", backend=backend) as session:
        yield _Session(session)
