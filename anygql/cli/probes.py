"""What ``anygql doctor`` asks a server, each thing by itself. All of it only reads."""

from __future__ import annotations

import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import time
from typing import Any
from urllib.parse import urlsplit

import anyio
import httpx

from ..concurrency.exception_groups import single
from .endpoint import Endpoint
from .values import is_array, is_object

__all__ = ["HTTP_PROBES", "STREAM_PROBES", "Finding", "Findings", "WebProbe", "ask", "reach"]

#: Seconds for each question.
PATIENCE = 5.0

QUERY = "{ __typename }"
_SUBSCRIPTION = "subscription { __typename }"
_DEFER = "query { __typename ... @defer { again: __typename } }"
_MANY = "{ __schema { types { name description fields { name description } } } }"
_JSON = "application/json"
_GRAPHQL_JSON = "application/graphql-response+json"
_SSE = "text/event-stream"
_MULTIPART = 'multipart/mixed;subscriptionSpec="1.0"'
_INCREMENTAL = (
    "multipart/mixed;incrementalSpec=v0.2, multipart/mixed;deferSpec=20220824, application/json"
)
#: The site of a page that no server knows (RFC 6761 §6.4).
_ORIGIN = "https://doctor.invalid"
#: The hash of no document.
_UNKNOWN_HASH = "0" * 64


@dataclass(frozen=True)
class Finding:
    """One thing that was found out.

    Attributes:
        name: What was asked.
        works: Whether the server does it; ``None`` where that is no question.
        detail: What came.
    """

    name: str
    works: bool | None
    detail: str = ""


@dataclass
class Findings:
    """Everything that was found out, in the order of the questions."""

    found: dict[str, Finding] = field(default_factory=dict[str, Finding])

    def add(self, name: str, works: bool | None, detail: str = "") -> None:
        """Add a finding."""
        self.found[name] = Finding(name, works, " ".join(detail.split())[:200])

    def works(self, name: str) -> bool:
        """Return whether something was found to work."""
        return name in self.found and bool(self.found[name].works)


async def reach(endpoint: Endpoint, findings: Findings) -> bool:
    """Find out whether the host can be reached: by name, TCP and TLS."""
    parts = urlsplit(endpoint.url)
    secure = parts.scheme in {"https", "wss"}
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    try:
        with anyio.fail_after(PATIENCE):
            begun = anyio.current_time()
            addresses = {info[4][0] for info in await anyio.getaddrinfo(host, port)}
            findings.add("DNS", True, f"{', '.join(map(str, sorted(addresses)))}{_ms(begun)}")
            begun = anyio.current_time()
            async with await anyio.connect_tcp(host, port):
                findings.add("TCP", True, f"port {port}{_ms(begun)}")
            if secure:
                await _tls(endpoint, host, port, findings)
    except (OSError, TimeoutError) as error:
        name = "DNS" if "DNS" not in findings.found else "TLS" if "TCP" in findings.found else "TCP"
        why = str(single(error.__cause__ or error))
        findings.add(name, False, why or f"nothing within {PATIENCE:g} s")
        return False
    return True


async def _tls(endpoint: Endpoint, host: str, port: int, findings: Findings) -> None:
    context = endpoint.ssl_context() or ssl.create_default_context()
    begun = anyio.current_time()
    async with await anyio.connect_tcp(
        host, port, tls=True, ssl_context=context, tls_standard_compatible=False
    ) as stream:
        from anyio.streams.tls import TLSAttribute

        attributes = stream.extra_attributes
        version = attributes[TLSAttribute.tls_version]()
        certificate: Any = attributes[TLSAttribute.peer_certificate]()
    until = ""
    if certificate and "notAfter" in certificate:
        ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
        until = f", certificate until {ends:%Y-%m-%d}"
    findings.add("TLS", True, f"{version}{until}{_ms(begun)}")


def _ms(begun: float) -> str:
    return f" ({(anyio.current_time() - begun) * 1000:.0f} ms)"


class WebProbe:
    """Asks an HTTP endpoint, and keeps what other questions need of the first answer."""

    def __init__(self, client: httpx.AsyncClient, url: str, findings: Findings) -> None:
        self.client = client
        self.url = url
        self.findings = findings
        #: Headers without which the server refuses requests that browsers send unasked.
        self.preflight: dict[str, str] = {}
        self.headers: Mapping[str, str] = {}

    async def post(
        self, body: Any, *, accept: str = _JSON, **headers: str
    ) -> tuple[httpx.Response, Any]:
        """Send a request, and return its response with what its body says, if that is JSON."""
        given = {"Accept": accept, **self.preflight, **headers}
        response = await self.client.post(self.url, json=body, headers=given)
        return response, _decoded(response)

    async def stream(self, document: str, accept: str) -> tuple[int, str]:
        """Return the status and media type of a response that may never end."""
        async with self.client.stream(
            "POST", self.url, json={"query": document}, headers={"Accept": accept}
        ) as response:
            return response.status_code, _media_type(response)


def _decoded(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        return None


def _media_type(response: httpx.Response) -> str:
    given: str = response.headers.get("content-type", "none")
    return given.partition(";")[0].strip().lower()


def _has_data(answer: Any) -> bool:
    return is_object(answer) and is_object(answer.get("data"))


def _seen(response: httpx.Response) -> str:
    return f"{response.status_code}, {_media_type(response)}"


async def ask(probe: WebProbe) -> None:
    """Ask by POST, a few times, for how long it takes."""
    times: list[float] = []
    response, answer = await probe.post({"query": QUERY})
    for _ in range(3):
        begun = anyio.current_time()
        response, answer = await probe.post({"query": QUERY})
        times.append(anyio.current_time() - begun)
    probe.headers = response.headers
    probe.findings.add(
        "POST", _has_data(answer), f"{_seen(response)}, {min(times) * 1000:.0f} ms at best"
    )


async def _media_types(probe: WebProbe) -> None:
    """Find out whether ``application/graphql-response+json`` comes where it is accepted."""
    response, _ = await probe.post({"query": QUERY}, accept=f"{_GRAPHQL_JSON}, {_JSON};q=0.9")
    works = _media_type(response) == _GRAPHQL_JSON
    probe.findings.add("graphql-response+json", works, _seen(response))


async def _statuses(probe: WebProbe) -> None:
    """Find out with which status a document that doesn't parse is refused."""
    response, answer = await probe.post({"query": "{"})
    shape = "with errors" if is_object(answer) and answer.get("errors") else "without errors"
    probe.findings.add("syntax errors", None, f"{_seen(response)}, {shape}")


async def _get(probe: WebProbe) -> None:
    """Ask by GET, and find out what a browser's preflight would be needed for."""
    given = {"Accept": _JSON}
    response = await probe.client.get(probe.url, params={"query": QUERY}, headers=given)
    if _has_data(_decoded(response)):
        probe.findings.add("GET", True, _seen(response))
        probe.findings.add("preflight header", False, "not needed")
        return
    header = {"apollo-require-preflight": "true"}
    again = await probe.client.get(probe.url, params={"query": QUERY}, headers=given | header)
    needed = _has_data(_decoded(again))
    probe.findings.add("GET", needed, _seen(again if needed else response))
    hint = "GET needs apollo-require-preflight: true" if needed else "not needed"
    probe.findings.add("preflight header", needed, hint)


async def _cross_origin(probe: WebProbe) -> None:
    """Ask as a browser does before a page of another site may post (CORS)."""
    given = {
        "Origin": _ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    response = await probe.client.options(probe.url, headers=given)
    allowed = response.headers.get("access-control-allow-origin", "")
    works = response.is_success and allowed in {"*", _ORIGIN}
    detail = "pages of other sites may not ask" if not works else "pages of any site may ask"
    if works and response.headers.get("access-control-allow-credentials") == "true":
        detail += ", with the user's cookies" if allowed == _ORIGIN else ""
    probe.findings.add("CORS", works, f"{response.status_code}, {detail}")


async def _batching(probe: WebProbe) -> None:
    """Send two queries as one array."""
    response, answer = await probe.post([{"query": QUERY}, {"query": QUERY}])
    works = is_array(answer) and len(answer) == 2 and all(map(_has_data, answer))
    probe.findings.add("batching", works, _seen(response))


async def _introspection(probe: WebProbe) -> None:
    """Ask for types, which is also large enough to be compressed."""
    encodings = {"Accept-Encoding": "gzip, br, zstd, deflate"}
    async with probe.client.stream(
        "POST", probe.url, json={"query": _MANY}, headers={"Accept": _JSON, **encodings}
    ) as response:
        size = sum([len(chunk) async for chunk in response.aiter_raw()])
    encoding = response.headers.get("content-encoding", "")
    probe.findings.add("compression", bool(encoding), encoding or f"none, for {size} bytes")
    response, answer = await probe.post({"query": "{ __schema { queryType { name } } }"})
    probe.findings.add("introspection", _has_data(answer), _seen(response))


async def _persisted_queries(probe: WebProbe) -> None:
    """Ask for a hash that no document has."""
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": _UNKNOWN_HASH}}
    response, answer = await probe.post({"extensions": extensions})
    said = json.dumps(answer) if answer is not None else ""
    works = "PersistedQueryNotFound" in said or "PERSISTED_QUERY_NOT_FOUND" in said
    probe.findings.add("persisted queries (APQ)", works, _seen(response))


async def _event_streams(probe: WebProbe) -> None:
    """Subscribe to nothing, by server-sent events."""
    status, media_type = await probe.stream(_SUBSCRIPTION, _SSE)
    probe.findings.add("SSE", media_type == _SSE, f"{status}, {media_type}")


async def _single_connection(probe: WebProbe) -> None:
    """Reserve an event stream for everything (graphql-sse's "single connection mode")."""
    response = await probe.client.put(probe.url, headers={"Accept": "text/plain"})
    works = response.status_code == 201 and bool(response.text)
    probe.findings.add("single connection", works, _seen(response))


async def _multipart(probe: WebProbe) -> None:
    """Subscribe to nothing, by multipart."""
    status, media_type = await probe.stream(_SUBSCRIPTION, f"{_MULTIPART}, {_JSON};q=0.9")
    works = media_type == "multipart/mixed" and status == 200
    probe.findings.add("multipart subscriptions", works, f"{status}, {media_type}")


async def _incremental(probe: WebProbe) -> None:
    """Defer something."""
    status, media_type = await probe.stream(_DEFER, _INCREMENTAL)
    works = media_type == "multipart/mixed" and status == 200
    probe.findings.add("@defer", works, f"{status}, {media_type}")


async def _headers(probe: WebProbe) -> None:
    """Read what the first answer said beside its body."""
    await anyio.lowlevel.checkpoint()
    if date := probe.headers.get("date"):
        skew = parsedate_to_datetime(date).timestamp() - time()
        probe.findings.add("clock", abs(skew) < 60, f"{round(skew):+d} s")
    limits = [
        f"{name}: {value}"
        for name, value in probe.headers.items()
        if "ratelimit" in name.replace("-", "") or name == "retry-after"
    ]
    probe.findings.add("rate limits", None, ", ".join(limits) or "none told")


#: The questions, by what each finds out first.
HTTP_PROBES: dict[str, Callable[[WebProbe], Awaitable[None]]] = {
    "graphql-response+json": _media_types,
    "syntax errors": _statuses,
    "GET": _get,
    "CORS": _cross_origin,
    "batching": _batching,
    "introspection": _introspection,
    "persisted queries (APQ)": _persisted_queries,
    "SSE": _event_streams,
    "multipart subscriptions": _multipart,
    "@defer": _incremental,
    "clock": _headers,
}

#: What may work though plain requests don't.
STREAM_PROBES: dict[str, Callable[[WebProbe], Awaitable[None]]] = {
    "SSE": _event_streams,
    "single connection": _single_connection,
}
