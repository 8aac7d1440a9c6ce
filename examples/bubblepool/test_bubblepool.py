"""Tests of bubblepool over HTTP. Run: python3 -m unittest."""

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
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
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

    def test_bubbles_can_be_added_and_removed(self) -> None:
        self._ask(self.requests, "/bubbles", b"")
        self._ask(self.requests, "/bubbles", b"")
        self._ask(self.requests, "/bubbles/pop", b"")
        self.assertIn("<h1>1 bubbles</h1>", self._ask(self.requests, "/")[1])

    def test_number_of_bubbles_is_never_negative(self) -> None:
        self.assertIn("<h1>0 bubbles</h1>", self._ask(self.requests, "/bubbles/pop", b"")[1])

    def test_is_live_and_ready_after_start(self) -> None:
        for path in ("/actuator/health/liveness", "/actuator/health/readiness"):
            for server in (self.requests, self.management):
                self.assertEqual(self._ask(server, path), (200, '{"status": "UP"}'))
        self.assertEqual(self._ask(self.requests, "/readyz")[0], 200)

    def test_is_live_but_not_ready_during_shutdown(self) -> None:
        self.pool.is_ready = False
        self.assertEqual(self._ask(self.management, "/actuator/health/readiness")[0], 503)
        self.assertEqual(self._ask(self.management, "/actuator/health/liveness")[0], 200)

    def test_metrics_count_requests_by_status(self) -> None:
        self._ask(self.requests, "/")
        self._ask(self.requests, "/nowhere")
        metrics = self._ask(self.management, "/actuator/prometheus")[1]
        self.assertIn('http_server_requests_seconds_count{method="GET",status="200"} 1', metrics)
        self.assertIn('http_server_requests_seconds_count{method="GET",status="404"} 1', metrics)

    def test_metrics_are_only_served_on_the_management_port(self) -> None:
        self.assertEqual(self._ask(self.requests, "/actuator/prometheus")[0], 404)


if __name__ == "__main__":
    unittest.main()
