"""nginx, tinyproxy and Redis as Debian has them, each in a process of its own: ``make servers``."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from tests.peers.node import needed
from tests.peers.run import PATIENCE, listening
from tests.support.paths import ROOT

__all__ = ["Tinyproxy", "nginx", "redis", "tinyproxy", "write_certificate"]

UNPACKED = ROOT / "build" / "servers"
REDIS = ROOT / "build" / "redis"

NGINX = """
daemon off;
user root root;
pid {folder}/nginx.pid;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  ssl_certificate {folder}/chain.pem;
  ssl_certificate_key {folder}/key.pem;
  client_max_body_size 100k;
  add_header X-Connection $connection always;
  proxy_http_version 1.1;
  keepalive_requests 3;
  keepalive_timeout 1s;
  server {{
    listen 127.0.0.1:{port} ssl http2;
    location / {{ proxy_pass http://127.0.0.1:{upstream}/; }}
    location /impatient/ {{ proxy_read_timeout 300ms; proxy_pass http://127.0.0.1:{upstream}/; }}
    location /unbuffered/ {{
      proxy_buffering off;
      proxy_pass http://127.0.0.1:{upstream}/;
    }}
    location /cut/ {{
      proxy_buffering off;
      proxy_read_timeout 300ms;
      proxy_pass http://127.0.0.1:{upstream}/;
    }}
    location /named/ {{ keepalive_timeout 5s 1s; proxy_pass http://127.0.0.1:{upstream}/; }}
    location /gone/ {{ proxy_pass http://127.0.0.1:{gone}/; }}
    location /status {{ stub_status; }}
  }}
}}
"""

TINYPROXY = """
Listen 127.0.0.1
Port {port}
Timeout 60
MaxClients 100
LogLevel Info
BasicAuth user pass
"""


def program(path: str, unpacked: Path = UNPACKED) -> str:
    """The path of a program that ``make servers`` has unpacked."""
    found = unpacked / path
    if not found.exists():
        needed(f"{found.name} is not there: make servers")
    return str(found)


def write_certificate(authority: trustme.CA, folder: Path) -> tuple[Path, Path]:
    """Write a certificate for this machine, and return the paths of its chain and of its key."""
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    chain, key = folder / "chain.pem", folder / "key.pem"
    certificate.private_key_pem.write_to_path(str(key))
    for pem in certificate.cert_chain_pems:
        pem.write_to_path(str(chain), append=True)
    return chain, key


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def nginx(upstream: int, authority: trustme.CA, folder: Path) -> Generator[str]:
    """The URL of an nginx that speaks TLS, and forwards to a port, until the context is left."""
    path = program("usr/sbin/nginx")
    write_certificate(authority, folder)
    config, log = folder / "nginx.conf", folder / "nginx.log"
    with listening() as listener, socket.socket() as unused, log.open("wb") as output:
        unused.bind(("127.0.0.1", 0))  # nobody listens there
        port, fd = listener.getsockname()[1], listener.fileno()
        config.write_text(
            NGINX.format(folder=folder, port=port, upstream=upstream, gone=unused.getsockname()[1])
        )
        process = subprocess.Popen(
            [path, "-p", str(folder), "-c", str(config), "-e", "stderr"],
            # It takes a listener over as it does from the process that it replaces.
            env={**os.environ, "NGINX": f"{fd};"},
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield f"https://127.0.0.1:{port}"
        finally:
            stop(process)


@dataclass
class Tinyproxy:
    """A proxy that runs, and the lines of its log."""

    port: int
    process: subprocess.Popen[bytes]
    lines: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def wait_accepting(self) -> bool:
        """Return whether it has come up; the rest of its log is read as it comes."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.decode())
            if "Accepting connections" in self.lines[-1]:
                threading.Thread(target=self._read_log, daemon=True).start()
                return True
        return False

    def _read_log(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.decode())


@contextmanager
def tinyproxy(folder: Path) -> Generator[Tinyproxy]:
    """A tinyproxy that wants "user" and "pass", until the context is left."""
    path = program("usr/bin/tinyproxy")
    config = folder / "tinyproxy.conf"
    for _ in range(3):  # it can't be handed a listener, and somebody else may take the port
        with listening() as free:
            port = free.getsockname()[1]
        config.write_text(TINYPROXY.format(port=port))
        with subprocess.Popen(
            [path, "-d", "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            running = Tinyproxy(port, process)
            try:
                if running.wait_accepting():
                    yield running
                    return
            finally:
                stop(process)
    raise AssertionError("".join(running.lines))


@contextmanager
def redis(folder: Path) -> Generator[str]:
    """The URL of a Redis that keeps nothing, at a Unix socket, until the context is left."""
    path = program("usr/bin/redis-server", REDIS)
    libraries = os.pathsep.join(map(str, REDIS.glob("usr/lib/*-linux-gnu")))
    socket_path = folder / "redis.sock"
    with subprocess.Popen(
        [path, *f"--port 0 --unixsocket {socket_path} --save".split(), ""],
        env={**os.environ, "LD_LIBRARY_PATH": libraries},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            assert process.stdout is not None
            lines = []
            for line in process.stdout:
                lines.append(line.decode())
                if "eady to accept connections" in lines[-1]:
                    break
            else:
                raise AssertionError("".join(lines))
            yield f"unix://{socket_path}"
        finally:
            stop(process)
