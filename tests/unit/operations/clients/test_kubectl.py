"""kubectl."""

from pathlib import Path

import pytest

from operations.clients import kubectl
from operations.errors import OperationError
from tests.unit.operations.clients.conftest import Program


def test_output_is_returned(program: Program) -> None:
    program("kubectl", 'echo "$*"')
    assert kubectl.kubectl("get", "pods") == "get pods\n"
    assert kubectl.kubectl("get", "pods", kubeconfig=Path("config")) == "--kubeconfig config get pods\n"


def test_a_failure_has_the_message_of_kubectl(program: Program) -> None:
    program("kubectl", "echo 'Error from server (Forbidden)' >&2; exit 1")
    with pytest.raises(OperationError, match=r"^Error from server \(Forbidden\)$"):
        kubectl.kubectl("get", "pods")


def test_a_failure_without_a_message_names_the_command(program: Program) -> None:
    program("kubectl", "exit 2")
    with pytest.raises(OperationError, match=r"^kubectl get pods failed \(status 2\)$"):
        kubectl.kubectl("get", "pods")


@pytest.mark.parametrize(
    ("printed", "url"), [("https://api ", "https://api"), ("https://127.0.0.1:8443 api", "https://api")]
)
def test_the_server_is_that_of_the_current_context_also_through_a_tunnel(
    program: Program, printed: str, url: str
) -> None:
    fields = "{.clusters[0].cluster.server} {.clusters[0].cluster.tls-server-name}"
    program("kubectl", f'[ "$*" = "config view --minify --output=jsonpath={fields}" ] && echo "{printed}"')
    assert kubectl.server() == url


def test_without_a_current_context_the_message_says_how_to_select_one(program: Program) -> None:
    program("kubectl", "echo 'error: current-context must exist in order to minify' >&2; exit 1")
    with pytest.raises(
        OperationError,
        match=r"^current-context .* minify; choose a cluster: kubectl config use-con",
    ):
        kubectl.server()


def test_another_failure_has_no_advice_about_contexts(program: Program) -> None:
    program("kubectl", "echo 'error loading config file: permission denied' >&2; exit 1")
    with pytest.raises(OperationError, match=r"^error loading config file: permission denied$"):
        kubectl.server()
