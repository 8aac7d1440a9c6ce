"""The tunnel to a private API in a process of its own, and a TLS server in place of the API."""

import base64
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from operations.local.ports import HOST, free_port
from operations.tunnel import Target
from tests import ROOT
from tests.stacks import REGION

API = "0123456789ABCDEF.gr7.ap-northeast-2.eks.amazonaws.com"
SESSION = ROOT / "tests/fake_session.py"


def _certificate(key: ec.EllipticCurvePrivateKey, name: str, *, is_ca: bool) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


class Api:
    """A TLS server with the certificate of the API, on a port of this machine. It answers `ok` to any request."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.authority = _certificate(key, API, is_ca=True).public_bytes(serialization.Encoding.PEM)
        file = folder / "api.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + self.authority
        )
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(file)
        self._listening = socket.create_server((HOST, 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # closed
                return
            try:
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    secured.recv(1000)
                    secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
            except OSError:  # a client that does not accept the certificate, or only looks whether the port is open
                connection.close()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def free_port_pair() -> int:
    """A port that can be bound, as the next one can: connections of other programs may have either."""
    while True:
        port = free_port()
        with suppress(OSError, OverflowError), socket.create_server((HOST, port + 1)):
            return port


class Running:
    """The tunnel in a process of its own, in the folder `root`."""

    def __init__(self, root: Path, port: int, authority: bytes, role: str | None = None) -> None:
        target = Target("i-1", "gitops-cluster-dev", REGION, API, base64.b64encode(authority).decode())
        script = f"""from functools import partial
from operations.tunnel import Target, run
run({target!r}, {port}, {role!r}, partial(print, flush=True))
"""
        self.process = subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.lines = [self.process.stdout.readline().strip() for _ in range(3)]
        if not self.lines[0]:
            raise AssertionError(self.process.communicate()[1])

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        """Its exit status and the rest of its output, after a signal."""
        self.process.send_signal(number)
        printed, errors = self.process.communicate(timeout=30)
        return self.process.returncode, printed, errors
