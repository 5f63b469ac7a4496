"""sgqlc's endpoints, as its documentation has them: each call has its own connection, or not."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

__all__ = ["open_http"]


class _Request(NamedTuple):
    query: str
    variables: dict[str, Any]


class _Session:
    request = _Request

    def __init__(self, endpoint: Any) -> None:
        self._endpoint = endpoint

    def execute(self, request: _Request) -> Any:
        return self._endpoint(request.query, request.variables)["data"]


@contextmanager
def open_http(engine: str, port: int, size: int) -> Generator[_Session]:
    url = f"http://127.0.0.1:{port}/http/{size}"
    if engine == "urllib":
        from sgqlc.endpoint.http import HTTPEndpoint

        yield _Session(HTTPEndpoint(url))
        return
    import requests
    from sgqlc.endpoint.requests import RequestsEndpoint

    with requests.Session() as session:
        yield _Session(RequestsEndpoint(url, session=session))
