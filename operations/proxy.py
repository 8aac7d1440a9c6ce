"""An HTTPS proxy on this machine that sends connections to the API of one cluster through a tunnel.

Terraform and its providers, kubectl and the AWS CLI use it by the variable `HTTPS_PROXY`. They connect to the cluster
by its own address, so TLS remains between them and the API, and the stacks need no other settings. Connections to other
addresses are made from here, as without the proxy.
"""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socketserver import StreamRequestHandler, ThreadingTCPServer

from operations.local.ports import HOST

Address = tuple[str, int]

_CONNECT_SECONDS = 30
_CHUNK = 65_536


class _Server(ThreadingTCPServer):
    """The proxy. A connection to `address` goes to `instead`."""

    allow_reuse_address = True
    daemon_threads = True  # connections that are open end with this process

    def __init__(self, port: int, address: Address, instead: Address) -> None:
        super().__init__((HOST, port), _Connection)
        self.routes = {address: instead}

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is no error."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Connection(StreamRequestHandler):
    """One request, `CONNECT host:port`.

    Source: https://www.rfc-editor.org/rfc/rfc9110#name-connect
    """

    rbufsize = 0  # what follows the request belongs to the two ends
    server: _Server

    def handle(self) -> None:
        method, _, rest = self.rfile.readline(_CHUNK).decode("latin-1").partition(" ")
        host, _, port = rest.partition(" ")[0].rpartition(":")
        while self.rfile.readline(_CHUNK).strip():
            pass  # headers
        if method != "CONNECT" or not port.isdecimal():
            self.wfile.write(b"HTTP/1.1 405 Method Not Allowed\r\nAllow: CONNECT\r\n\r\n")
            return
        address = (host, int(port))
        try:
            other = socket.create_connection(self.server.routes.get(address, address), _CONNECT_SECONDS)
        except OSError:
            self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return
        with other:
            other.settimeout(None)
            self.wfile.write(b"HTTP/1.1 200 Connection Established\r\n\r\n")
            answers = threading.Thread(target=_copy, args=(other, self.connection), daemon=True)
            answers.start()
            _copy(self.connection, other)
            answers.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy what is sent, until the end of `source`, and tell `target` the end."""
    with suppress(OSError):  # one of them has closed the connection
        while data := source.recv(_CHUNK):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def serving(port: int, address: Address, instead: Address) -> Iterator[None]:
    """While the block runs, serve on `port` of 127.0.0.1, and connect to `instead` where a client asks for `address`.

    Raises:
        OSError: if the port is in use.
    """
    with _Server(port, address, instead) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
