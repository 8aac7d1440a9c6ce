"""A Prometheus that scrapes processes on this machine. It also parses PromQL."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from operations.local.cluster import programs
from operations.local.cluster.processes import Processes
from operations.local.ports import HOST, free_port
from tests.gitops.tree import Json


class Prometheus:
    """A context manager that runs Prometheus on 127.0.0.1, with `jobs` to scrape each second.

    As in the ServiceMonitors, a label of a metric wins over the same label of its job.
    """

    def __init__(self, home: Path, jobs: Sequence[Mapping[str, Any]] = ()) -> None:
        self._home = home
        self._jobs = [{"honor_labels": True, "scrape_interval": "1s", "scrape_timeout": "1s", **job} for job in jobs]
        self.url = f"http://{HOST}:{free_port()}"

    def __enter__(self) -> Self:
        config = self._home / "prometheus.yaml"
        config.write_text(json.dumps({"scrape_configs": self._jobs}))
        self._processes = Processes(self._home / "logs")
        self._processes.__enter__()
        self._processes.start(
            "prometheus",
            programs.program("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={self._home / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        )
        self._processes.wait_for("Prometheus", self._is_ready)
        return self

    def __exit__(self, *_: object) -> None:
        self._processes.__exit__()

    def parse(self, expression: str) -> Json:
        """The syntax tree of an expression."""
        tree: Json = self._ask("parse_query", query=expression)
        return tree

    def query(self, expression: str) -> list[Json]:
        """The current value of an expression for each set of labels."""
        found: list[Json] = self._ask("query", query=expression)["result"]
        return found

    def series(self, *selectors: str) -> list[dict[str, str]]:
        """The labels of all series that a selector matches."""
        found: list[dict[str, str]] = self._ask("series", **{"match[]": selectors})
        return found

    def _ask(self, what: str, **parameters: object) -> Any:
        body = urllib.parse.urlencode(parameters, doseq=True).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{what}", body, timeout=30) as answer:  # noqa: S310
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refused:
            raise ValueError(json.load(refused)["error"]) from refused

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False
