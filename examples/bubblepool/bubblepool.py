"""bubblepool: an example web service with a page, probes and metrics, without dependencies.

Port 8080 serves requests. The management port 8081 serves probes and metrics and is not exposed to load balancers.
"""

import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PAGE = """<!doctype html>
<html lang="en">
<title>bubblepool</title>
<h1>{bubbles} bubbles</h1>
<form method="post" action="/bubbles"><button>Blow one</button></form>
<form method="post" action="/bubbles/pop"><button>Pop one</button></form>
</html>
"""
Answer = tuple[HTTPStatus, str, str]


class Pool:
    """The number of bubbles, and the counts of requests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bubbles = 0
        self._requests: Counter[tuple[str, int]] = Counter()
        self.is_ready = True

    def page(self) -> Answer:
        """The HTML page."""
        return HTTPStatus.OK, "text/html; charset=utf-8", _PAGE.format(bubbles=self._bubbles)

    def change(self, by: int) -> Answer:
        """Add or remove bubbles; the number is never negative."""
        with self._lock:
            self._bubbles = max(0, self._bubbles + by)
        return HTTPStatus.SEE_OTHER, "text/plain", ""

    def count(self, method: str, status: int) -> None:
        """Count a request, for the metrics that the canary analysis uses."""
        with self._lock:
            self._requests[method, status] += 1

    def metrics(self) -> Answer:
        """The number of requests by status, in the text format of Prometheus."""
        name = "http_server_requests_seconds_count"
        with self._lock:
            counts = sorted(self._requests.items())
        lines = [f"# TYPE {name} counter"]
        lines += [f'{name}{{method="{method}",status="{status}"}} {count}' for (method, status), count in counts]
        return HTTPStatus.OK, "text/plain; version=0.0.4", "\n".join(lines) + "\n"

    def liveness(self) -> Answer:
        """The liveness probe: always UP while the server runs."""
        return HTTPStatus.OK, "application/json", json.dumps({"status": "UP"})

    def readiness(self) -> Answer:
        """The readiness probe: fails during shutdown, so that new requests are sent to other Pods."""
        status = HTTPStatus.OK if self.is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return status, "application/json", json.dumps({"status": "UP" if self.is_ready else "OUT_OF_SERVICE"})


def _handler(routes: dict[tuple[str, str], Callable[[], Answer]], count: Callable[[str, int], None]) -> type:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30  # an idle connection must not block a thread forever

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(min(length, 65536))
            path = self.path.split("?", 1)[0]
            route = routes.get((self.command, path))
            status, kind, text = route() if route else (HTTPStatus.NOT_FOUND, "text/plain", "not found\n")
            body = text.encode()
            count(self.command, status)  # before the answer, so that whoever has it is counted
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if status is HTTPStatus.SEE_OTHER:
                self.send_header("Location", "/")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _answer  # noqa: N815  (named by http.server)

        def log_message(self, *_: object) -> None:
            """Log nothing: the metrics count requests, and probes would fill the log."""

    return Handler


def servers(pool: Pool, port: int, management_port: int) -> tuple[ThreadingHTTPServer, ThreadingHTTPServer]:
    """The server for requests, and the server for probes and metrics."""
    health = {
        ("GET", "/actuator/health"): pool.readiness,
        ("GET", "/actuator/health/liveness"): pool.liveness,
        ("GET", "/actuator/health/readiness"): pool.readiness,
    }
    requests = {
        ("GET", "/"): pool.page,
        ("GET", "/readyz"): pool.readiness,
        ("GET", "/livez"): pool.liveness,
        ("POST", "/bubbles"): lambda: pool.change(1),
        ("POST", "/bubbles/pop"): lambda: pool.change(-1),
    }
    management = {**health, ("GET", "/actuator/prometheus"): pool.metrics}
    address = "0.0.0.0"  # noqa: S104  (a NetworkPolicy restricts access to the Pod)
    return (
        ThreadingHTTPServer((address, port), _handler({**health, **requests}, pool.count)),
        ThreadingHTTPServer((address, management_port), _handler(management, lambda *_: None)),
    )


def main() -> None:
    """Serve until SIGTERM, then finish the current requests."""
    pool = Pool()
    requests, management = servers(
        pool, int(os.environ.get("SERVER_PORT", "8080")), int(os.environ.get("MANAGEMENT_SERVER_PORT", "8081"))
    )
    requests.daemon_threads = False  # closing waits for the current requests

    def stop(*_: object) -> None:
        pool.is_ready = False
        threading.Thread(target=requests.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=management.serve_forever, daemon=True).start()
    requests.serve_forever()
    requests.server_close()


if __name__ == "__main__":
    main()
