"""bubblepool, asked as browsers, load balancers, the kubelet and Prometheus ask. Run: python3 -m unittest."""

import threading
import unittest
import urllib.error
import urllib.request
from http.server import ThreadingHTTPServer

import bubblepool


class BubblepoolTest(unittest.TestCase):
    def setUp(self) -> None:
        self.pool = bubblepool.Pool()
        self.requests, self.management = bubblepool.servers(self.pool, 0, 0)
        for server in (self.requests, self.management):
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.addCleanup(server.server_close)
            self.addCleanup(server.shutdown)

    def _ask(self, server: ThreadingHTTPServer, path: str, body: bytes | None = None) -> tuple[int, str]:
        url = f"http://127.0.0.1:{server.server_address[1]}{path}"
        try:
            with urllib.request.urlopen(url, data=body, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def test_people_blow_and_pop_bubbles(self) -> None:
        self._ask(self.requests, "/bubbles", b"")
        self._ask(self.requests, "/bubbles", b"")
        self._ask(self.requests, "/bubbles/pop", b"")
        self.assertIn("<h1>1 bubbles</h1>", self._ask(self.requests, "/")[1])

    def test_a_pool_never_holds_less_than_nothing(self) -> None:
        self.assertIn("<h1>0 bubbles</h1>", self._ask(self.requests, "/bubbles/pop", b"")[1])

    def test_it_is_alive_and_ready(self) -> None:
        for path in ("/actuator/health/liveness", "/actuator/health/readiness"):
            for server in (self.requests, self.management):
                self.assertEqual(self._ask(server, path), (200, '{"status": "UP"}'))
        self.assertEqual(self._ask(self.requests, "/readyz")[0], 200)

    def test_told_to_end_it_is_alive_and_not_ready(self) -> None:
        self.pool.is_ready = False
        self.assertEqual(self._ask(self.management, "/actuator/health/readiness")[0], 503)
        self.assertEqual(self._ask(self.management, "/actuator/health/liveness")[0], 200)

    def test_metrics_count_requests_by_status(self) -> None:
        self._ask(self.requests, "/")
        self._ask(self.requests, "/nowhere")
        said = self._ask(self.management, "/actuator/prometheus")[1]
        self.assertIn('http_server_requests_seconds_count{method="GET",status="200"} 1', said)
        self.assertIn('http_server_requests_seconds_count{method="GET",status="404"} 1', said)

    def test_the_load_balancer_reaches_no_metrics(self) -> None:
        self.assertEqual(self._ask(self.requests, "/actuator/prometheus")[0], 404)


if __name__ == "__main__":
    unittest.main()
