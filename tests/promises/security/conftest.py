"""Authorities, certificates and contexts: one that is right, and one for each way to be wrong."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme

NOW = datetime.now(UTC)

#: What is wrong with a certificate, as the arguments of its making.
CERTIFICATES: dict[str, dict[str, Any]] = {
    "right": {},
    "expired": {"not_before": NOW - timedelta(days=20), "not_after": NOW - timedelta(days=10)},
    "not yet valid": {
        "not_before": NOW + timedelta(days=10),
        "not_after": NOW + timedelta(days=20),
    },
    "wrong host": {},
    "unknown authority": {},
    "self-signed": {},
}

#: What of OpenSSL's words stands in the message.
WORDS = {
    "expired": "expired",
    "not yet valid": "not yet valid",
    "wrong host": "mismatch",
    "unknown authority": "unable to get local issuer certificate",
    "self-signed": "self-signed certificate",
}

Serving = Callable[[str], ssl.SSLContext]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """The default context, which knows the private authority besides."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> Serving:
    """``server_tls(fault)``: a server's context with such a certificate for this machine."""

    def make(fault: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issuer = trustme.CA() if fault in {"unknown authority", "self-signed"} else authority
        if fault == "self-signed":
            _self_signed(context)
            return context
        names = ["elsewhere.example"] if fault == "wrong host" else ["localhost", "127.0.0.1"]
        issuer.issue_cert(*names, **CERTIFICATES[fault]).configure_cert(context)
        return context

    return make


def _self_signed(context: ssl.SSLContext) -> None:
    """A certificate that is its own issuer."""
    import ipaddress
    import tempfile
    from pathlib import Path

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "both.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context.load_cert_chain(file)
