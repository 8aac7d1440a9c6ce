"""The programs of the local cluster, built from the Go modules in `modules/` into the user's cache folder.

The path of a program depends on the pinned versions (`go.mod` and `go.sum`), the build flags and the version of Go:
after a change, the program is built again in another folder.
"""

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from operations.clients import process
from operations.errors import OperationError

MODULES: Mapping[str, tuple[str, ...]] = {
    "actionlint": ("actionlint",),
    "argo-cd": ("argocd", "check-argo-cd"),
    "argo-rollouts": ("rollouts-controller", "check-argo-rollouts"),
    "crds": (),
    "etcd": ("etcd",),
    "external-secrets": ("check-external-secrets",),
    "grafana": ("grafana",),
    "helm": ("helm",),
    "karpenter": ("check-karpenter",),
    "kubernetes": ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl", "check-kubernetes"),
    "kustomize": ("kustomize",),
    "kwok": ("kwok",),
    "kyverno": ("kyverno",),
    "prometheus": ("prometheus", "promtool"),
    "redis": ("redis",),
}
"""The folders in `modules/`, and the programs that each builds."""

_ROOT = Path(__file__).parent / "modules"
_LOG_TAIL = 2000

# Go names a program after its package. Those that are named after their module are in its `main.go`.
_RENAMED = {
    "argo-cd": "check-argo-cd",
    "argo-rollouts": "check-argo-rollouts",
    "cmd": "argocd",
    "external-secrets": "check-external-secrets",
    "karpenter": "check-karpenter",
    "kubectl-kyverno": "kyverno",
    "kubernetes": "check-kubernetes",
    "server": "etcd",
}

# Without these tags, Prometheus would contain a client of each cloud in which it can look for targets.
_TAGS = {"prometheus": "remove_all_sd"}

# Files that are needed in addition to the programs: the patterns of their names, by Go module.
_FILES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "argo-cd": {"github.com/argoproj/argo-cd/v3": ("manifests/crds/*-crd.yaml",)},
    "argo-rollouts": {"github.com/argoproj/argo-rollouts": ("manifests/crds/*-crd.yaml",)},
    "crds": {
        "github.com/argoproj/argo-cd/v3": ("manifests/crds/*-crd.yaml",),
        "github.com/argoproj/argo-rollouts": ("manifests/crds/*-crd.yaml",),
        "github.com/aws/karpenter-provider-aws": ("pkg/apis/crds/karpenter*.yaml",),
        "github.com/external-secrets/external-secrets": ("config/crds/bases/external-secrets.io_*.yaml",),
        "github.com/kyverno/kyverno": ("config/crds/policies.kyverno.io/*.yaml",),
        "github.com/prometheus-operator/prometheus-operator": ("example/prometheus-operator-crd/*.yaml",),
    },
    "kwok": {
        "sigs.k8s.io/kwok": (
            "kustomize/stage/node/fast/node-*.yaml",
            "kustomize/stage/node/heartbeat/node-*.yaml",
            "kustomize/stage/pod/fast/pod-*.yaml",
        )
    },
}


def build_all(say: Callable[[str], None] = print) -> None:
    """Build every program that is not built yet.

    Raises:
        OperationError: if Go is not installed, or a build fails.
    """
    for module in MODULES:
        _folder(module, say)


def program(name: str, say: Callable[[str], None] = print) -> Path:
    """The path of a program, such as `kube-apiserver`. It is built if necessary.

    Raises:
        OperationError: if Go is not installed, or the build fails.
    """
    module = next(module for module, names in MODULES.items() if name in names)
    return _folder(module, say) / name


def files(module: str, say: Callable[[str], None] = print) -> Path:
    """The folder with the files of a module: CRDs of `argo-cd`, `argo-rollouts` and `crds`, stages of `kwok`.

    The `crds` are those of all charts in the Git tree, in the versions of these charts.

    Raises:
        OperationError: if Go is not installed, or the build fails.
    """
    return _folder(module, say) / "files"


def _folder(module: str, say: Callable[[str], None]) -> Path:
    folder = _cache() / f"{module}-{_checksum(module)}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (folder.parent / f".{module}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be building the same module
            if not folder.is_dir():
                # Left by a build that was killed; under the lock no other one runs.
                for unfinished in folder.parent.glob(f".{module}-build-*"):
                    shutil.rmtree(unfinished)
                _build(module, folder, say)
    return folder


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base, "eks-gitops-platform", "bin")


@cache
def _checksum(module: str) -> str:
    checksum = hashlib.sha256(repr((_go_version(), _flags(module), _FILES.get(module))).encode())
    for file in sorted((_ROOT / module).iterdir()):
        checksum.update(file.name.encode() + file.read_bytes())
    return checksum.hexdigest()[:16]


@cache
def _go_version() -> str:
    return process.output("go", "version")


def _flags(module: str) -> tuple[str, ...]:
    """The build flags of a module: no local paths, and no debug symbols."""
    variables = [f"-X {name}={value}" for name, value in _variables(module).items()]
    tags = (f"-tags={_TAGS[module]}",) if module in _TAGS else ()
    return ("-buildvcs=false", "-trimpath", *tags, f"-ldflags={' '.join(['-s', '-w', *variables])}")


def _variables(module: str) -> dict[str, str]:
    """The linker variables with the version that Kubernetes reports, and that Helm assumes for its cluster."""
    found = re.search(r"k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)", (_ROOT / "kubernetes" / "go.mod").read_text())
    assert found
    version, major, minor = found.groups()
    if module == "kubernetes":
        package = "k8s.io/component-base/version"
        return {f"{package}.gitVersion": version, f"{package}.gitMajor": major, f"{package}.gitMinor": minor}
    if module == "helm":
        packages = ("helm.sh/helm/v3/pkg/chartutil", "helm.sh/helm/v3/pkg/lint/rules")
        parts = {"k8sVersionMajor": major, "k8sVersionMinor": minor}
        return {f"{package}.{name}": value for package in packages for name, value in parts.items()}
    return {}


def _build(module: str, folder: Path, say: Callable[[str], None]) -> None:
    if MODULES[module]:
        say(f"building {', '.join(MODULES[module])}: takes minutes, only once")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{module}-build-") as unfinished:
        work = Path(unfinished, module)
        work.mkdir()
        if MODULES[module]:
            _go(module, "build", *_flags(module), "-o", f"{work}/", "tool")
        else:
            _go(module, "mod", "download")
        for built, name in _RENAMED.items():
            if (work / built).exists():
                (work / built).rename(work / name)
        _copy_files(module, work / "files")
        work.rename(folder)


def _copy_files(module: str, target: Path) -> None:
    for name, patterns in _FILES.get(module, {}).items():
        source = _go(module, "list", "-m", "-f", "{{.Dir}}", name).strip()
        if not source:  # and no error
            raise OperationError(f"modules/{module}: {name}: its checksum is not in go.sum; add it")
        target.mkdir(exist_ok=True)
        for pattern in patterns:
            for file in Path(source).glob(pattern):
                shutil.copyfile(file, target / file.name)


def _go(module: str, *arguments: str) -> str:
    # Without cgo no C compiler is needed. A Go workspace of the user must not change the versions. Go fetches the newer
    # toolchain that a `go.mod` requires, also where its own configuration says `local`.
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "auto"}
    done = process.run("go", *arguments, directory=_ROOT / module, environment=environment)
    if done.returncode:
        folder = (_ROOT / module).relative_to(Path(__file__).parents[3])
        raise OperationError(
            f"go {arguments[0]} failed in {folder} (status {done.returncode}); if a module could not be"
            f" fetched, check `go env GOPROXY` and run `make tools` again. The output of Go ends with:\n"
            f"{done.stderr[-_LOG_TAIL:]}"
        )
    return done.stdout
