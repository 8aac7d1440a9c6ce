"""The job that makes a service's user of its database, on a real PostgreSQL that asks for TLS; AWS answers from files."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "management" / "database-users" / "manifests" / "scripts"

# RDS makes such passwords for a master; JSON and connection strings both have a meaning for some of it.
MASTER_PASSWORD = r"""p:a'ss\w=o<r>d#&$(x)"""
USER_PASSWORD = "Zm9vYmFyYmF6cXV1eGNvcmdlZ3JhdWx0Z2FycGx5d2FsZG8"

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

    def query(self, statement: str) -> str:
        command = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--dbname=guests", f"--command={statement}"]
        environment = {**os.environ, "PGHOST": str(self.folder), "PGPORT": str(self.port), "PGUSER": "superuser"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return done.stdout.strip()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    missing = [name for name in ("psql", "jq", "openssl") if shutil.which(name) is None]
    if not programs or missing:
        pytest.skip(f"not installed: {', '.join([*missing, *([] if programs else ['a PostgreSQL server'])])}")
    folder = tmp_path_factory.mktemp("postgresql")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)
    _certificates(folder)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # PostgreSQL refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, user)
    data = folder / "data"
    subprocess.run(
        [programs[-1], "--username=superuser", "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", data],
        check=True,
        capture_output=True,
        user=user,
        cwd=folder,
    )
    settings = {
        "listen_addresses": "localhost",
        "port": port,
        "unix_socket_directories": folder,
        "ssl": "on",
        "ssl_cert_file": folder / "server.pem",
        "ssl_key_file": folder / "server.key",
        "log_statement": "all",
        "fsync": "off",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [programs[-1].with_name("postgres"), "-D", data, *[f"--{key}={value}" for key, value in settings.items()]],
            stdout=log,
            stderr=log,
            user=user,
            cwd=folder,
        )
        try:
            ready = [programs[-1].with_name("pg_isready"), f"--host={folder}", f"--port={port}", "--timeout=30"]
            while subprocess.run(ready, check=False, capture_output=True).returncode and process.poll() is None:
                pass
            yield Server(port, folder)
        finally:
            process.terminate()
            process.wait()


def _certificates(folder: Path) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    for name in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                "-keyout", f"{name}.key", "-out", f"{name}.pem")  # fmt: skip
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
            "-keyout", "server.key", "-out", "server.csr")  # fmt: skip
    openssl("x509", "-req", "-days", "2", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-copy_extensions", "copyall", "-out", "server.pem")  # fmt: skip
    (folder / "server.key").chmod(0o600)


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


@pytest.fixture(scope="module", autouse=True)
def _master(server: Server) -> None:
    statement = "CREATE ROLE master LOGIN CREATEROLE CREATEDB PASSWORD $pw${}$pw$"
    environment = {**os.environ, "PGHOST": str(server.folder), "PGPORT": str(server.port), "PGUSER": "superuser"}
    for command in (statement.format(MASTER_PASSWORD), "CREATE DATABASE guests OWNER master"):
        subprocess.run(["psql", "--dbname=postgres", f"--command={command}"], check=True, capture_output=True,
                       env=environment)  # fmt: skip


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
    attributes = "rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"
    assert job.server.query(f"SELECT {attributes} FROM pg_roles WHERE rolname = 'guests_service'") == "f|f|f|f|f"
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
    assert {
        path.name: oct(path.stat().st_mode & 0o077) for path in job.secrets.iterdir() if path.suffix != ".pem"
    } == dict.fromkeys(("connections", "error", "master.json", "password", "stored.json", "user.json"), "0o0")


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
