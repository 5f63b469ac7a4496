"""The options, what is refused, and what isn't there: a provider, a package, a secret."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
import tenacity
from graphql import GraphQLError
from opentelemetry import trace

from anygql import (
    Client,
    HTTPTransport,
    Subscription,
    TransportConnectionFailed,
    TransportError,
    TransportServerError,
)
from anygql.opentelemetry import OpenTelemetry
from anygql.session.interceptors.observing import ObservingInterceptor
from anygql.testing import GraphQLServer, Stub, demo_schema
from tests.support.telemetry import Telemetry

HELLO = "query Hello { hello }"


def test_a_wrong_way_to_propagate() -> None:
    with pytest.raises(ValueError, match="'http', 'extensions', None, not 'headers'"):
        OpenTelemetry(propagate="headers")  # type: ignore[arg-type]


async def test_where_it_belongs() -> None:
    stub = Stub({"Hello": {"hello": "hi"}})
    async with Client(stub, attempt_interceptors=[OpenTelemetry()]) as session:
        with pytest.raises(TypeError, match=r"OpenTelemetry is for Client\(…, interceptors"):
            await session.execute(HELLO)
    client = Client(stub, interceptors=[OpenTelemetry(), OpenTelemetry()])
    with pytest.raises(ValueError, match="twice"):
        client.connect()
    with pytest.raises(NotImplementedError):
        ObservingInterceptor().observe(client._options, stub)


async def test_a_document_without_literals(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = Stub({"Hello": {"hello": "hi"}})
    async with Client(stub, interceptors=[telemetry.interceptor(document=True)]) as session:
        await session.execute("query Hello {\n  hello(name: 7)\n}")
        # A document that graphql-core can't parse, though it was recognized.
        monkeypatch.setattr("anygql.opentelemetry.telemetry.without_literals", lambda _: None)
        await session.execute(HELLO)
    first, second = (dict(span.attributes or {}) for span in telemetry.spans)
    assert first["graphql.document"] == "query Hello { hello(name: ?) }"
    assert "graphql.document" not in second


async def test_without_a_provider_nothing_happens() -> None:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        client = Client(
            HTTPTransport(server.http_url), interceptors=[OpenTelemetry(document=True, events=True)]
        )
        async with client as session:
            await session.execute(HELLO)
            with pytest.raises(TransportError):
                await session.execute("query Hello { fail }")
            async with session.subscribe("subscription { countdown }") as events:
                assert len([event async for event in events]) == 4
        assert "traceparent" not in server.requests[0].headers
        client = Client(
            HTTPTransport(server.http_url), interceptors=[OpenTelemetry(propagate="extensions")]
        )
        async with client as session:
            await session.execute(HELLO)
        assert b"traceparent" not in server.requests[-1].body


async def test_a_trace_from_outside_is_passed_on_without_a_provider() -> None:
    outside = trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(1))
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        client = Client(HTTPTransport(server.http_url), interceptors=[OpenTelemetry()])
        async with client as session:
            with trace.use_span(trace.NonRecordingSpan(outside)):
                await session.execute(HELLO)
        assert server.requests[0].headers["traceparent"] == f"00-{1:032x}-{2:016x}-01"


#: Providers that are set after the client was made.
LATE = """
import anyio
from anygql import Client
from anygql.opentelemetry import OpenTelemetry
from anygql.testing import Stub

client = Client(Stub({"Hello": {"hello": "hi"}}), interceptors=[OpenTelemetry()])

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider([reader]))


async def main():
    async with client as session:
        await session.execute("query Hello { hello }")


anyio.run(main)
(span,) = exporter.get_finished_spans()
assert "graphql.client.request.duration" in reader.get_metrics_data().to_json()
print(span.name, span.instrumentation_scope.name)
"""

WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
try:
    import anygql.opentelemetry
except ModuleNotFoundError as error:
    print(error)
"""


def run(program: str) -> str:
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


def test_global_providers_may_be_set_later() -> None:
    assert run(LATE) == "query anygql"


def test_without_the_package() -> None:
    assert run(WITHOUT) == "anygql.opentelemetry needs opentelemetry-api: install anygql[otel]"


def test_no_sdk_is_imported() -> None:
    program = "import sys, anygql.opentelemetry; print('opentelemetry.sdk' in sys.modules)"
    assert run(program) == "False"


# Nothing secret is in what is exported.

SECRET = "s3cret"

DOCUMENT = f"""query Q($token: String = "{SECRET}") {{
    # {SECRET}
    a(text: "{SECRET}", block: \"\"\"{SECRET}\"\"\", list: ["{SECRET}"], o: {{ a: "{SECRET}" }})
    @include(if: true) @d(x: "{SECRET}", y: $token)
}}"""


async def secretive(_call: object) -> AsyncIterator[Any]:
    yield {"a": SECRET}
    await anyio.sleep_forever()


@pytest.mark.usefixtures("soon")
async def test_nothing_secret_is_exported(telemetry: Telemetry) -> None:
    error = GraphQLError(SECRET, extensions={"code": f"no {SECRET}", "detail": SECRET})
    told = TransportConnectionFailed(SECRET, code=1006, reason=SECRET)
    refused = TransportServerError(SECRET, code=503, headers={"x": SECRET}, body=SECRET)
    answers = iter([told, {"a": SECRET}, error, refused])

    def answer(_call: object) -> Any:
        outcome = next(answers)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def fail(_subscription: Subscription[Any], _last: Any) -> None:
        raise ValueError(SECRET)

    stub = Stub(
        {"Q": answer, "S": secretive},
        description=f"https://user:{SECRET}@h.example/{SECRET}?token={SECRET}#{SECRET}",
    )
    interceptor = telemetry.interceptor(
        name_in_span=True, document=True, propagate="extensions", events=True
    )
    policy = tenacity.AsyncRetrying(
        wait=tenacity.wait_none(), stop=tenacity.stop_after_attempt(2), reraise=True
    )
    client = Client(stub, interceptors=[interceptor])
    variables = {"token": SECRET}
    async with client.connect(reconnecting=True, retry_execute=policy) as session:
        options: Any = {"extensions": {"x": SECRET}, "transport_args": {"y": SECRET}}
        await session.execute(DOCUMENT, variables, **options)
        for _ in range(2):
            with pytest.raises(TransportError):
                await session.execute(DOCUMENT, variables, retry_mutations=False, **options)
        document = f'subscription S($token: String) {{ a(x: "{SECRET}", y: $token) }}'
        async with session.subscribe(document, variables, on_resubscribe=fail) as events:
            await anext(events)
            stub.drop_connections()
            with pytest.raises(ValueError):
                await anext(events)
    exported = telemetry.exported()
    assert SECRET not in exported
    assert "user" not in exported
    for name in ("query Q", "subscription S", "retry", "graphql.error", "h.example", "text: ?"):
        assert name in exported


async def test_nothing_secret_of_http_is_exported(telemetry: Telemetry) -> None:
    async with GraphQLServer(demo_schema()) as server:
        await server.listen()
        secrets = {"Authorization": f"Bearer {SECRET}", "Cookie": SECRET}
        transport = HTTPTransport(f"{server.http_url}?token={SECRET}", headers=secrets)
        client = Client(transport, interceptors=[telemetry.interceptor(document=True)])
        async with client as session:
            args: Any = {"headers": {"X-Token": SECRET}, "params": {"token": SECRET}}
            await session.execute(HELLO, transport_args=args)
            # The server's message quotes what it doesn't know.
            document = f'query Hello {{ hello(name: {{ x: "{SECRET}" }}) }}'
            with pytest.raises(TransportError, match=SECRET):
                await session.execute(document, transport_args=args)
        await server.stop()
    assert len(telemetry.spans) == 2
    assert SECRET not in telemetry.exported()


def test_nothing_secret_is_in_its_repr(telemetry: Telemetry) -> None:
    assert SECRET not in repr(telemetry.interceptor())
