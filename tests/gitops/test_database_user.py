"""The job that makes a service's user of its database, on a real PostgreSQL with TLS; AWS answers from files."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from operations.local.ports import free_port

SCRIPTS = Path(__file__).parents[2] / "management" / "database-users" / "manifests" / "scripts"

# RDS makes such passwords for a master; JSON and connection strings both have a meaning for some of it.
MASTER_PASSWORD = r"""p:a'ss\w=o<r>d#&$(x)"""  # noqa: S105
USER_PASSWORD = "Zm9vYmFyYmF6cXV1eGNvcmdlZ3JhdWx0Z2FycGx5d2FsZG8"  # noqa: S105

_AWS = """#!/bin/bash
echo "$*" >>"$AWS_FAKE/calls"
[ "$1" = secretsmanager ] || exit 9
operation=$2
while [ $# -gt 0 ]; do
  case $1 in
    --secret-id) secret=$AWS_FAKE/$2 ;;
    --secret-string) value=${2#file://} ;;
  esac
  shift
done
case $operation in
  get-secret-value)
    [ ! -e "$AWS_FAKE/denied" ] || { echo "An error occurred (AccessDeniedException)" >&2; exit 254; }
    cat "$secret" 2>/dev/null || { echo "An error occurred (ResourceNotFoundException)" >&2; exit 254; } ;;
  get-random-password) cat "$AWS_FAKE/random" ;;
  put-secret-value) cp "$value" "$secret" ;;
  *) exit 9 ;;
esac
"""
_CURL = """#!/bin/bash
echo "$*" >>"$AWS_FAKE/calls"
while [ $# -gt 0 ]; do
  [ "$1" = --output ] && cp "$AWS_FAKE/ca.pem" "$2"
  shift
done
"""


@dataclass
class Server:
    """PostgreSQL on loopback, with a certificate for `localhost`, and a master that is no superuser, as in RDS."""

    port: int
    folder: Path

    def query(self, statement: str, database: str = "guests") -> str:
        command = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", database, f"--command={statement}"]
        environment = {**os.environ, "PGHOST": str(self.folder), "PGPORT": str(self.port), "PGUSER": "superuser"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return done.stdout.strip()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    missing = [name for name in ("psql", "jq", "openssl") if shutil.which(name) is None]
    missing += [] if installed else ["a PostgreSQL server"]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    # A folder of its own below /tmp: the server runs as another user than root, who may not enter pytest's.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as name:
        folder = Path(name)
        _certificates(folder)
        with _running(installed[-1], folder) as port:
            running = Server(port, folder)
            running.query(f"CREATE ROLE master LOGIN CREATEROLE PASSWORD $pw${MASTER_PASSWORD}$pw$", "postgres")
            running.query("CREATE DATABASE guests OWNER master", "postgres")
            yield running


def _certificates(folder: Path) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "other"):
        openssl("req", "-x509", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
    request = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    openssl("req", *key, *request, "-keyout", "server.key", "-out", "server.csr")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-copy_extensions", "copyall")
    openssl("x509", "-req", "-in", "server.csr", *signing, "-out", "server.pem")
    (folder / "server.key").chmod(0o600)


@contextmanager
def _running(programs: Path, folder: Path) -> Iterator[int]:
    """A PostgreSQL server on a free port, with its data in the folder."""
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    if user:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, user)
    port = free_port()
    made: list[str | Path] = [
        "--username=superuser",
        "--auth-local=trust",
        "--auth-host=scram-sha-256",
        "--no-sync",
        folder / "data",
    ]
    subprocess.run([programs / "initdb", *made], check=True, capture_output=True, user=user, cwd=folder)
    settings = {
        "listen_addresses": "localhost",
        "unix_socket_directories": folder,
        "ssl": "on",
        "ssl_cert_file": folder / "server.pem",
        "ssl_key_file": folder / "server.key",
        "log_statement": "all",
        "fsync": "off",
    }
    command: list[str | Path] = [programs / "postgres", "-D", folder / "data", f"--port={port}"]
    command += [f"--{name}={value}" for name, value in settings.items()]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, user=user, cwd=folder)
    try:
        asked: list[str | Path] = [programs / "pg_isready", f"--host={folder}", f"--port={port}"]
        while subprocess.run(asked, check=False, capture_output=True).returncode:
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


@dataclass
class Job:
    """A run of the job's two containers, one after the other."""

    server: Server
    aws: Path
    secrets: Path

    def run(self, **changed: str) -> str:
        environment = {
            "PATH": f"{self.aws}:{os.environ['PATH']}",
            "AWS_FAKE": str(self.aws),
            "DATABASE": "guests",
            "HOST": "localhost",
            "PORT": str(self.server.port),
            "MASTER_SECRET": "master",
            "USER_SECRET": "user",
            "AWS_REGION": "ap-northeast-2",
            "SECRETS": str(self.secrets),
            "SCRIPTS": str(SCRIPTS),
            "HOME": str(self.secrets),
            **changed,
        }
        said = ""
        for script in ("fetch-secrets.sh", "make-user.sh"):
            # Without a terminal, as in a pod: psql would ask a person there.
            done = subprocess.run(
                ["bash", SCRIPTS / script],
                check=False,
                capture_output=True,
                text=True,
                env=environment,
                start_new_session=True,
            )
            said += done.stdout + done.stderr
            assert done.returncode == 0, said
        return said

    @property
    def stored(self) -> dict[str, object]:
        value: dict[str, object] = json.loads((self.aws / "user").read_text())
        return value


@pytest.fixture
def job(server: Server, tmp_path: Path) -> Job:
    server.query("DROP DATABASE IF EXISTS other")
    owned = "REASSIGN OWNED BY guests_service TO superuser; DROP OWNED BY guests_service; DROP ROLE guests_service"
    if server.query("SELECT count(*) FROM pg_roles WHERE rolname = 'guests_service'") == "1":
        server.query(owned)
    aws, secrets = tmp_path / "aws", tmp_path / "secrets"
    for folder in (aws, secrets):
        folder.mkdir()
    for name, text in (("aws", _AWS), ("curl", _CURL)):
        (aws / name).write_text(text)
        (aws / name).chmod(0o755)
    (aws / "master").write_text(json.dumps({"username": "master", "password": MASTER_PASSWORD}))
    (aws / "random").write_text(f"{USER_PASSWORD}\n")
    shutil.copy(server.folder / "ca.pem", aws)
    return Job(server, aws, secrets)


def test_user_is_made_and_its_secret_filled(job: Job) -> None:
    said = job.run()
    assert "guests_service reaches guests with TLS" in said
    assert job.stored == {
        "username": "guests_service",
        "password": USER_PASSWORD,
        "host": "localhost",
        "port": job.server.port,
        "dbname": "guests",
    }


def test_a_second_run_changes_nothing(job: Job) -> None:
    job.run()
    (job.aws / "random").unlink()
    before = job.stored
    job.run()
    assert job.stored == before
    puts = [line for line in (job.aws / "calls").read_text().splitlines() if "put-secret-value" in line]
    assert len(puts) == 1


def test_user_that_somebody_changed_is_mended(job: Job) -> None:
    job.run()
    job.server.query("ALTER ROLE guests_service PASSWORD 'other'; REVOKE CREATE ON SCHEMA public FROM guests_service")
    job.run()
    allowed = "SELECT has_schema_privilege('guests_service', 'public', 'CREATE')"
    assert job.server.query(allowed) == "t"


def test_secret_follows_a_database_that_moved(job: Job) -> None:
    (job.aws / "user").write_text(json.dumps({"username": "guests_service", "password": "kept", "host": "before"}))
    job.run()
    assert (job.stored["host"], job.stored["password"]) == ("localhost", "kept")


def test_user_may_work_in_its_database_and_do_nothing_else(job: Job) -> None:
    job.run()
    attributes = job.server.query(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"
        " FROM pg_roles WHERE rolname = 'guests_service'"
    )
    assert attributes == "f|f|f|f|f"
    job.server.query("CREATE DATABASE other")
    allowed = "SELECT has_database_privilege('guests_service', 'guests', '{}')"
    assert [job.server.query(allowed.format(right)) for right in ("CONNECT", "TEMPORARY", "CREATE")] == ["t", "t", "f"]
    assert job.server.query("SELECT has_database_privilege('public', 'guests', 'CONNECT')") == "f"


def test_no_password_is_on_a_command_line_or_in_a_log(job: Job) -> None:
    said = job.run()
    log = (job.server.folder / "log").read_text()
    assert "SCRAM-SHA-256$" in log  # the statement was logged, with what the server keeps
    for text in (said, log, (job.aws / "calls").read_text()):
        assert USER_PASSWORD not in text
        assert MASTER_PASSWORD not in text.replace(f"$pw${MASTER_PASSWORD}$pw$", "")


def test_secrets_are_for_one_user_of_the_system_alone(job: Job) -> None:
    job.run()
    secret = [path for path in job.secrets.iterdir() if path.suffix != ".pem"]
    assert {path.name for path in secret} >= {"connections", "master.json", "password", "user.json"}
    assert [path.name for path in secret if path.stat().st_mode & 0o077] == []


def test_a_server_with_another_certificate_is_not_told_the_password(job: Job) -> None:
    shutil.copy(job.server.folder / "other.pem", job.aws / "ca.pem")
    with pytest.raises(AssertionError, match="certificate verify failed"):
        job.run()


def test_refused_access_is_no_reason_for_a_new_password(job: Job) -> None:
    job.run()
    (job.aws / "denied").touch()
    with pytest.raises(AssertionError, match="AccessDeniedException"):
        job.run()


@pytest.mark.parametrize(
    ("region", "store"),
    [
        ("ap-northeast-2", "https://truststore.pki.rds.amazonaws.com/ap-northeast-2/ap-northeast-2-bundle.pem"),
        ("us-gov-east-1", "https://truststore.pki.us-gov-west-1.rds.amazonaws.com/us-gov-east-1/"),
        ("cn-northwest-1", "https://rds-truststore.s3.cn-north-1.amazonaws.com.cn/cn-northwest-1/"),
    ],
)
def test_certificates_come_from_the_store_of_the_partition(job: Job, region: str, store: str) -> None:
    job.run(AWS_REGION=region)
    assert store in (job.aws / "calls").read_text()
