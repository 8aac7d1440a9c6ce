"""The proxy for deploys through a tunnel."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from operations import proxy
from operations.local.ports import HOST, free_port

API = ("api.example.com", 443)


def _serve(listening: socket.socket, answer: bytes) -> None:
    while True:
        try:
            connection, _ = listening.accept()
        except OSError:  # closed
            return
        with connection:
            connection.sendall(answer + connection.recv(100))


@pytest.fixture
def servers() -> Iterator[dict[str, int]]:
    """The ports of two servers, which answer with their name and what they were sent."""
    sockets = {name: socket.create_server((HOST, 0)) for name in ("tunnel", "other")}
    for name, listening in sockets.items():
        threading.Thread(target=_serve, args=(listening, f"{name}: ".encode()), daemon=True).start()
    yield {name: int(listening.getsockname()[1]) for name, listening in sockets.items()}
    for listening in sockets.values():
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()


@pytest.fixture
def port(servers: dict[str, int]) -> Iterator[int]:
    """The port of a proxy that sends connections to the API to the server `tunnel`."""
    chosen = free_port()
    with proxy.serving(chosen, API, (HOST, servers["tunnel"])):
        yield chosen


def _through(port: int, host: str, to: int) -> bytes:
    """What is answered to `ping` through the proxy."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    connection.set_tunnel(host, to)
    with closing(connection):
        connection.connect()
        connection.sock.sendall(b"ping")
        connection.sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.sock.recv(100), b""))


def test_connections_to_the_api_go_through_the_tunnel(port: int) -> None:
    assert _through(port, *API) == b"tunnel: ping"


def test_connections_to_other_addresses_are_made_from_here(port: int, servers: dict[str, int]) -> None:
    assert _through(port, HOST, servers["other"]) == b"other: ping"


def test_an_address_that_refuses_is_a_bad_gateway(port: int) -> None:
    with pytest.raises(OSError, match="502 Bad Gateway"):
        _through(port, HOST, free_port())


@pytest.mark.parametrize("line", ["GET http://example.com/ HTTP/1.1", "CONNECT example.com HTTP/1.1", ""])
def test_only_tunnels_are_opened(port: int, line: str) -> None:
    with socket.create_connection((HOST, port), 10) as client:
        client.sendall(f"{line}\r\nHost: example.com\r\n\r\n".encode())
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100).startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")


def test_a_client_that_goes_away_is_no_error(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection((HOST, port), 10) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset
        client.sendall(b"CONNECT ")
    assert _through(port, *API) == b"tunnel: ping"
    assert capfd.readouterr().err == ""


def test_an_error_of_the_proxy_itself_is_shown(
    port: int, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "_copy", None)
    with socket.create_connection((HOST, port), 10) as client:
        client.sendall(b"CONNECT api.example.com:443 HTTP/1.1\r\n\r\n")
        assert list(iter(lambda: client.recv(100), b"")) == [b"HTTP/1.1 200 Connection Established\r\n\r\n"]
    assert "TypeError" in capfd.readouterr().err
