"""TLS over a byte stream, which reads, writes and closes without waiting where that is possible."""

from __future__ import annotations

import functools
import os
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

import anyio

from ..concurrency.interrupts import uninterruptible
from .errors import FAULTS
from .streams import CHUNK, NetworkStream

__all__ = ["TLSStream", "default_context", "wrap"]


async def wrap(stream: NetworkStream, hostname: str, context: ssl.SSLContext | None) -> TLSStream:
    """Return a TLS stream over ``stream``, after the handshake. The caller closes that if it fails.

    Args:
        stream: The stream to the server.
        hostname: The name that is asked for and verified.
        context: The TLS context; ``None`` for the default one, which verifies.

    Raises:
        ssl.SSLError: TLS failed.
        EndOfStream: The peer ended the stream.
        OSError: The stream broke; or anyio's errors for that.
    """
    secure = TLSStream(stream, hostname, context or default_context())
    await secure.shake_hands()
    return secure


def default_context() -> ssl.SSLContext:
    """Return the context that verifies servers by the system's certificates.

    ``SSL_CERT_FILE`` and ``SSL_CERT_DIR`` in the environment name others.
    """
    return _default_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@functools.lru_cache(maxsize=8)
def _default_context(*_where: str | None) -> ssl.SSLContext:
    # Reading the certificates takes tens of milliseconds: once.
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class TLSStream(NetworkStream):
    """One side of a TLS connection. Use ``wrap`` to open one."""

    def __init__(self, stream: NetworkStream, hostname: str, context: ssl.SSLContext) -> None:
        self._stream = stream
        self._from_peer = ssl.MemoryBIO()
        self._to_peer = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._from_peer, self._to_peer, server_hostname=hostname)
        #: What ``write`` was given and TLS has not taken yet.
        self._plain: memoryview | None = None
        #: Whether TLS certainly has nothing more to read before more comes from the peer.
        self._wants_more = False

    async def shake_hands(self) -> None:
        """Perform the handshake (RFC 8446 §2)."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._stream.send(self._to_peer.read())
                self._from_peer.write(await self._stream.receive())
            except ssl.SSLError:
                with suppress(*FAULTS):  # tell the peer why
                    self._stream.write(self._to_peer.read())
                raise
            else:
                await self._stream.send(self._to_peer.read())
                return

    @property
    def bytes_sent(self) -> int:
        """The bytes of TLS that the operating system has taken so far."""
        return self._stream.bytes_sent

    def watch_idle(self, call: Callable[[], object] | None) -> None:
        """Have ``call`` called when something comes while no task reads, be it of TLS itself."""
        self._stream.watch_idle(call)

    @uninterruptible
    def receive_nowait(self) -> bytes | None:
        """Return decrypted bytes; ``b""`` at the end, ``None`` if there are none yet."""
        if self._wants_more:
            if not self._take_more():
                return None
            self._wants_more = False
        pieces: list[bytes] = []
        size = 0
        while size < self.read_size:
            try:
                piece = self._tls.read(CHUNK)
            except ssl.SSLWantReadError:
                self._answer_peer()
                if pieces or not self._take_more():
                    self._wants_more = True
                    break
                continue
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                # HTTP and WebSocket messages say where they end, so TLS need not say it.
                piece = b""
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
            size += len(piece)
            if not self._from_peer.pending and not self._tls.pending():
                # TLS would say so with an exception, which takes longer than all of this.
                self._wants_more = True
                self._answer_peer()
                break
        return b"".join(pieces) if pieces else None

    def _take_more(self) -> bool:
        """Hand TLS what has come from the peer. Return False if nothing has."""
        data = self._stream.receive_nowait()
        if data is None:
            return False
        if data:
            self._from_peer.write(data)
        else:
            self._from_peer.write_eof()
        return True

    def _answer_peer(self) -> None:
        # Such as the answer to a key update. A task that writes sends it, if one is under way.
        if self._to_peer.pending:
            self._stream.write(self._to_peer.read())

    async def wait_readable(self) -> None:
        """Wait until something has come, be it of TLS itself."""
        if self._from_peer.pending or self._tls.pending():
            await anyio.lowlevel.checkpoint()
            return
        await self._stream.wait_readable()

    @uninterruptible
    def write(self, data: bytes) -> bool:
        """Send as much as can be sent now. Return False if ``drain`` has to send the rest."""
        if self._plain is not None:
            data = bytes(self._plain) + data
        self._plain = memoryview(data)
        return self._push()

    def _push(self) -> bool:
        while self._plain is not None and len(self._plain):
            taken = self._tls.write(self._plain[:CHUNK])
            self._plain = self._plain[taken:]
            if not self._stream.write(self._to_peer.read()):
                return False
        self._plain = None
        return True

    async def drain(self) -> None:
        """Send what ``write`` has left."""
        while True:
            await self._stream.drain()
            if self._push():
                return

    @uninterruptible
    def close(self) -> None:
        """Close at once. The peer is told, as far as that takes no waiting (RFC 8446 §6.1)."""
        with suppress(ssl.SSLError, *FAULTS):
            try:
                self._tls.unwrap()
            finally:
                if self._plain is None:
                    self._stream.write(self._to_peer.read())
        self._stream.close()

    async def send_eof(self) -> None:
        """Raise ``NotImplementedError``: TLS streams have no half-close here."""
        raise NotImplementedError("TLS streams have no half-close")

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """What the stream below has."""
        return cast("Mapping[Any, Callable[[], Any]]", self._stream.extra_attributes)  # pyright: ignore[reportUnknownMemberType]
