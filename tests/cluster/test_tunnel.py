"""The real kubectl through the tunnel, to a TLS server that has the name of the API of a private cluster."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from operations.local.cluster.programs import program
from operations.local.ports import HOST
from tests.tunnels import API, SESSION, Api, Running, free_port_pair

pytestmark = pytest.mark.cluster

_AWS = f"""#!/bin/sh
if [ "$1" = ssm ]; then exec "{sys.executable}" "{SESSION}" "$@"; fi
echo '{{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "status": {{"token": "any"}}}}'
"""


def _livez(kubeconfig: Path, **variables: str) -> str:
    finished = subprocess.run(
        [program("kubectl"), "--kubeconfig", kubeconfig, "get", "--raw", "/livez"],
        env={**os.environ, **variables},
        check=False,
        capture_output=True,
        text=True,
    )
    return finished.stdout + finished.stderr


@pytest.mark.usefixtures("go_programs")
def test_kubectl_reaches_the_api_by_the_kubeconfig_and_by_the_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = Api(tmp_path)
    for name, script in (("aws", _AWS), ("session-manager-plugin", "#!/bin/sh\n")):
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("RECORD", str(tmp_path))
    monkeypatch.setenv("FORWARD_TO", str(api.port))
    port = free_port_pair()
    running = Running(tmp_path, port, api.authority)
    own = tmp_path / ".tunnel" / "gitops-cluster-dev.yaml"
    others = tmp_path / "others.yaml"  # as `aws eks update-kubeconfig` writes it: without `tls-server-name`
    lines = [line for line in own.read_text().splitlines() if "tls-server-name" not in line]
    others.write_text("\n".join(lines))

    assert _livez(own) == "ok"
    assert "cannot validate certificate for 127.0.0.1" in _livez(others)
    others.write_text("\n".join(lines).replace(f"{HOST}:{port}", API))
    assert _livez(others, HTTPS_PROXY=f"http://{HOST}:{port + 1}") == "ok"
    assert running.end(signal.SIGINT)[0] == 0
    api.close()
