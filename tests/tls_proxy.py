"""TLS before a PostgreSQL server, whose wheel is built without it: certificates, and what a TLS terminator such as stunnel does."""

import contextlib
import datetime as dt
import ipaddress
import selectors
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["make_certificate", "tls_before"]

_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")  # SSLRequest of PostgreSQL's protocol
_TWO_DAYS = dt.timedelta(days=2)


def make_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """Write a self-signed certificate of a host; return the files of the certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    try:
        named: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        named = x509.DNSName(host)
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _TWO_DAYS)
        .not_valid_after(now + _TWO_DAYS)
        .add_extension(x509.SubjectAlternativeName([named]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, secret = folder / f"{host}.crt", folder / f"{host}.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, secret


@contextlib.contextmanager
def tls_before(server: Path, certificate: Path, key: Path) -> Iterator[int]:
    """Listen with TLS on 127.0.0.1 before the socket of a server; yield the port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, server, context), daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, server: Path, context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_serve, args=(client, server, context), daemon=True).start()


def _serve(client: socket.socket, server: Path, context: ssl.SSLContext) -> None:
    with client, contextlib.suppress(OSError):
        if client.recv(len(_REQUEST), socket.MSG_WAITALL) != _REQUEST:
            return  # only TLS
        client.sendall(b"S")
        with context.wrap_socket(client, server_side=True) as one, socket.socket(socket.AF_UNIX) as other:
            other.connect(str(server))
            _pump(one, other)


def _pump(one: ssl.SSLSocket, other: socket.socket) -> None:
    with selectors.DefaultSelector() as ready:
        ready.register(one, selectors.EVENT_READ, other)
        ready.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in ready.select():
                source, target = key.fileobj, key.data
                assert isinstance(source, socket.socket)
                data = source.recv(65536)
                while isinstance(source, ssl.SSLSocket) and source.pending():
                    data += source.recv(65536)
                if not data:
                    return
                target.sendall(data)
