"""From an endpoint and its options to a client."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import click
import msgspec

from .arguments import (
    endpoint_table,
    environment_headers,
    is_module,
    read_headers,
    read_json_object,
)
from .options import Options
from .values import is_array, is_object

if TYPE_CHECKING:
    import ssl

    from ..client import Client
    from ..delivery.interfaces import Transport
    from ..net.authorization import Authorization
    from ..protocols.phoenix import Phoenix
    from .trace import Trace

__all__ = ["Endpoint", "load_object", "resolve_endpoint"]

#: The ``--protocol`` that is for an HTTP endpoint, with a WebSocket beside it.
APPSYNC = "appsync"

_ENVIRONMENT_NAME = re.compile(r"^[A-Za-z_]\w*$")
#: What may stand in ``[tool.anygql.endpoints.NAME]``.
_KEYS = {"url", "headers", "bearer", "api_key", "protocol", "init_payload", "timeout"}


class Endpoint(msgspec.Struct, frozen=True):
    """A server, or a schema in a module, with everything that it takes to reach it."""

    url: str
    options: Options
    headers: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    init_payload: dict[str, Any] | None = None

    @property
    def is_websocket(self) -> bool:
        """Whether one connection carries everything, which can be lost."""
        return self.url.lower().startswith("ws")

    @property
    def has_connection(self) -> bool:
        """Whether subscriptions come by a connection, which can be lost."""
        return self.is_websocket or self.options.protocol == APPSYNC

    @property
    def is_local(self) -> bool:
        """Whether it is a schema in this process."""
        return is_module(self.url)

    def secrets(self) -> list[str]:
        """Return all texts that must not be shown."""
        parts = urlsplit(self.url)
        found = [parts.password or "", *(value for _, value in parse_qsl(parts.query))]
        for value in self.headers.values():
            found += [value, *value.split()[1:]]
        found += _texts(self.init_payload)
        return [secret for secret in found if len(secret) > 3]

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the TLS context of ``--ca`` and ``--insecure``; ``None`` for the default one."""
        if not self.options.insecure and self.options.ca is None:
            return None
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.options.ca)
        except ssl.SSLError as error:
            raise click.UsageError(f"--ca {self.options.ca}: {error}") from None
        if self.options.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def transport(self, trace: Trace | None = None) -> Transport:
        """Return the transport for the URL."""
        if self.is_local:
            return _local_transport(self.url)
        if self.options.protocol == APPSYNC:
            return self._appsync(trace)
        return self._websocket(trace) if self.is_websocket else self._http(trace)

    def _websocket(self, trace: Trace | None) -> Transport:
        from ..websocket.sockets.stream import StreamConnector
        from ..websocket.transport import WebSocketTransport

        options = self.options
        more: dict[str, Any] = {}
        if options.proxy is not None:
            more["connect_args"] = {"proxy": options.proxy or None}
        if trace is not None:
            more["connector"] = trace.connector(StreamConnector())
        if options.protocol == "phoenix":
            more["protocol"] = _phoenix(self.init_payload)
        else:
            more["protocol"] = options.protocol or "auto"
            more["init_payload"] = self.init_payload
        limit = options.connect_timeout or 10
        return WebSocketTransport(
            self.url,
            headers=self.headers,
            ssl=self.ssl_context() if self.url.lower().startswith("wss") else None,
            connect_timeout=limit,
            ack_timeout=limit,
            close_timeout=2,
            **more,
        )

    def _http(self, trace: Trace | None) -> Transport:
        from ..http.transport import HTTPTransport

        if self.init_payload is not None or self.options.protocol is not None:
            raise click.UsageError("--init-payload and --protocol are for ws:// URLs")
        more: dict[str, Any] = {}
        if self.options.proxy is not None:
            more["proxy"] = self.options.proxy or None
        transport = HTTPTransport(
            self.url,
            headers=self.headers,
            ssl=self.ssl_context(),
            connect_timeout=self.options.connect_timeout or 10,
            **more,
        )
        return transport if trace is None else trace.http(transport)

    def _appsync(self, trace: Trace | None) -> Transport:
        from ..appsync.http import AppSyncHTTPTransport
        from ..appsync.protocol import AppSync
        from ..session.split import SplitTransport
        from ..websocket.sockets.stream import StreamConnector
        from ..websocket.transport import WebSocketTransport

        if self.is_websocket or self.init_payload is not None:
            raise click.UsageError(
                f"--protocol {APPSYNC} takes the HTTP endpoint, and no --init-payload"
            )
        headers = {name.lower(): value for name, value in self.headers.items()}
        auth = _appsync_auth(headers.pop("x-api-key", ""), headers.pop("authorization", ""))
        proxy = True if self.options.proxy is None else self.options.proxy or None
        more: dict[str, Any] = {
            "headers": headers,
            "ssl": self.ssl_context() if self.url.lower().startswith("https") else None,
            "connect_timeout": self.options.connect_timeout or 10,
        }
        # An AppSyncTransport of its two parts, each of which can be traced.
        try:
            http = AppSyncHTTPTransport(self.url, auth=auth, proxy=proxy, **more)
            socket = WebSocketTransport(
                self.url,
                protocol=AppSync(auth),
                connector=None if trace is None else trace.connector(StreamConnector()),
                connect_args={"proxy": proxy},
                close_timeout=2,
                **more,
            )
        except ValueError as error:  # the AWS region is unknown
            raise click.UsageError(str(error)) from None
        return SplitTransport(http if trace is None else trace.http(http), subscriptions=socket)

    def client(
        self,
        *,
        on_event: Callable[[Any], object] | None = None,
        is_retryable: Callable[[Exception], bool] | None = None,
    ) -> Client:
        """Return a client, which tells of its connection as ``-v`` asks for."""
        import logging

        from ..client import Client

        # What it would log is said in lines of our own.
        logging.getLogger("anygql").addHandler(logging.NullHandler())
        trace: Trace | None = None
        if self.options.verbose:
            from .trace import Trace, tell_of_connection

            is_brief = self.options.verbose == 1
            if self.is_websocket:
                on_event = tell_of_connection(on_event)
            if not (self.is_websocket and is_brief):
                trace = Trace(self.secrets(), is_brief=is_brief)
        more: dict[str, Any] = {} if is_retryable is None else {"is_retryable": is_retryable}
        return Client(self.transport(trace), execute_timeout=None, on_event=on_event, **more)


def _appsync_auth(key: str, token: str) -> Authorization:
    """Return what authorizes at AppSync: a key, a token, or else the AWS credentials of here."""
    from ..appsync import IAM, ApiKey, Token

    if key:
        return ApiKey(key)
    if token:
        return Token(token.removeprefix("Bearer "))
    try:
        return IAM()
    except ModuleNotFoundError:
        raise click.UsageError(
            f"--protocol {APPSYNC} needs --api-key, --bearer, or AWS credentials, which "
            "anygql[aws] finds"
        ) from None


def _phoenix(params: Any) -> Phoenix:
    from ..protocols.phoenix import Phoenix

    try:
        return Phoenix(params=params)
    except (TypeError, ValueError) as error:
        raise click.UsageError(f"--init-payload: {error}") from None


def resolve_endpoint(url: str, options: Options) -> Endpoint:
    """Return the endpoint for a URL, ``module:schema`` or ``@NAME``."""
    table: dict[str, Any] = {}
    if url.startswith("@"):
        table = endpoint_table(url[1:])
        if unknown := set(table) - _KEYS:
            raise click.UsageError(f"{url}: unknown key {min(unknown)!r} in pyproject.toml")
        url = str(table.get("url", ""))
        options = msgspec.structs.replace(
            options,
            bearer=options.bearer or table.get("bearer"),
            api_key=options.api_key or table.get("api_key"),
            protocol=options.protocol or table.get("protocol"),
            timeout=options.timeout or table.get("timeout"),
        )
    if not is_module(url):
        from ..net.urls import check_url

        url = check_url(url, ("https", "http", "wss", "ws"))
    init_payload = table.get("init_payload")
    if options.init_payload is not None:
        init_payload = read_json_object(options.init_payload, "--init-payload")
    return Endpoint(url, options, _headers(url, options, table), init_payload)


def _headers(url: str, options: Options, table: dict[str, Any]) -> dict[str, str]:
    headers = environment_headers(os.environ)
    headers |= {name: str(value) for name, value in table.get("headers", {}).items()}
    if options.bearer is not None:
        headers["Authorization"] = f"Bearer {_secret(options.bearer, '--bearer')}"
    elif (token := os.environ.get("ANYGQL_TOKEN")) and _is_at_home(url):
        headers.setdefault("Authorization", f"Bearer {token}")
    if options.api_key is not None:
        headers["x-api-key"] = _secret(options.api_key, "--api-key")
    return headers | read_headers(options.headers)


def _is_at_home(url: str) -> bool:
    """Return whether a URL is of the host of ``ANYGQL_URL``, so that the token is meant for it."""
    home = os.environ.get("ANYGQL_URL", "")
    if not home or is_module(url) or is_module(home):
        return False
    return (urlsplit(home).hostname or "") == urlsplit(url).hostname


def _secret(name: str, option: str) -> str:
    if not _ENVIRONMENT_NAME.match(name):
        # It is not quoted: it may be the secret itself.
        raise click.UsageError(f"{option} takes the name of an environment variable, not a value")
    value = os.environ.get(name)
    if not value:
        raise click.UsageError(f"{option}: the environment has no {name}")
    return value


def _texts(value: Any) -> list[str]:
    """Return all texts within a JSON value."""
    if isinstance(value, str):
        return [value, *value.split()[1:]]
    if is_object(value):
        return [text for each in value.values() for text in _texts(each)]
    if is_array(value):
        return [text for each in value for text in _texts(each)]
    return []


def load_object(name: str) -> Any:
    """Return what ``module:name`` names; the current folder is looked in, too."""
    module, _, attribute = name.partition(":")
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        found: Any = import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        raise click.UsageError(f"{name}: {error}") from None
    except ImportError as error:
        raise click.UsageError(f"{name}: can't import it: {error}") from None
    except (Exception, SystemExit) as error:  # the module's own
        if os.environ.get("ANYGQL_TRACEBACK"):
            raise
        raise click.UsageError(
            f"{name}: its import ended with {type(error).__name__}: {error} "
            "(ANYGQL_TRACEBACK=1 shows where)"
        ) from None
    # Strawberry's schemas hold graphql-core's.
    return getattr(found, "_schema", found)


def _local_transport(name: str) -> Transport:
    from ..local.transport import LocalSchemaTransport

    return LocalSchemaTransport(load_object(name))
