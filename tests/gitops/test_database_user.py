"""Tests the Job that creates database users with a real PostgreSQL server with TLS and a fake `aws` program."""

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from operations.local.ports import free_port
from tests.gitops import database_job
from tests.gitops.database_job import MASTER_PASSWORD, USER_PASSWORD, make_certificates

pytestmark = pytest.mark.slow


@dataclass
class Server:
    """PostgreSQL on loopback, with a certificate for `localhost` and a master user that is no superuser, as in RDS."""

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
    # A separate folder in /tmp, because the server does not run as root and cannot access the folder of pytest.
    with tempfile.TemporaryDirectory(prefix="postgresql-") as name:
        folder = Path(name)
        make_certificates(folder)
        with _running(installed[-1], folder) as port:
            running = Server(port, folder)
            running.query(f"CREATE ROLE master LOGIN CREATEROLE PASSWORD $pw${MASTER_PASSWORD}$pw$", "postgres")
            running.query("CREATE DATABASE guests OWNER master", "postgres")
            yield running


@contextmanager
def _running(programs: Path, folder: Path) -> Iterator[int]:
    """A PostgreSQL server on a free port, with its data in `folder`."""
    user = "postgres" if os.geteuid() == 0 else None  # PostgreSQL does not run as root
    if user:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, user)
    port = free_port()
    options: list[str | Path] = [
        "--username=superuser",
        "--auth-local=trust",
        "--auth-host=scram-sha-256",
        "--no-sync",
        folder / "data",
    ]
    subprocess.run([programs / "initdb", *options], check=True, capture_output=True, user=user, cwd=folder)
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
        is_ready: list[str | Path] = [programs / "pg_isready", f"--host={folder}", f"--port={port}"]
        while subprocess.run(is_ready, check=False, capture_output=True).returncode:
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


@dataclass
class Job(database_job.Job):
    """The Job with a PostgreSQL server."""

    server: Server

    def connect(self, credentials: Mapping[str, object], statement: str) -> str:
        """What psql prints for a new connection of a Pod with these credentials."""
        environment = {**os.environ, "PGPASSWORD": str(credentials["password"]), "PGSSLMODE": "require"}
        command = ["psql", "--no-psqlrc", "--tuples-only", "--no-align", "--quiet", "--host=localhost"]
        command += [f"--port={self.server.port}", f"--username={credentials['username']}", "--dbname=guests"]
        done = subprocess.run(
            [*command, f"--command={statement}"], check=False, capture_output=True, text=True, env=environment
        )
        return (done.stdout + done.stderr).strip()


@pytest.fixture
def job(server: Server, tmp_path: Path) -> Job:
    server.query("DROP DATABASE IF EXISTS other")
    roles = server.query("SELECT rolname FROM pg_roles WHERE starts_with(rolname, 'guests_service')")
    for role in roles.splitlines():
        server.query(f"DROP OWNED BY {role}")
        server.query(f"DROP ROLE {role}")
    plain = database_job.job(tmp_path, server.folder, server.port, "make-user.sh", ENGINE="postgres")
    return Job(**vars(plain), server=server)


def test_creates_the_user_and_stores_its_secret(job: Job) -> None:
    output = job.run()
    assert "guests_service reaches guests with TLS" in output
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


def test_restores_a_changed_user(job: Job) -> None:
    job.run()
    job.server.query("ALTER ROLE guests_service PASSWORD 'other'; REVOKE CREATE ON SCHEMA public FROM guests_service")
    job.run()
    allowed = "SELECT has_schema_privilege('guests_service', 'public', 'CREATE')"
    assert job.server.query(allowed) == "t"


def test_updates_the_host_in_the_secret_and_keeps_the_password(job: Job) -> None:
    (job.aws / "user").write_text(json.dumps({"username": "guests_service", "password": "kept", "host": "before"}))
    job.run()
    assert (job.stored["host"], job.stored["password"]) == ("localhost", "kept")


def test_users_have_permissions_only_in_their_database(job: Job) -> None:
    job.run()
    attributes = job.server.query(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls"
        " FROM pg_roles WHERE rolname IN ('guests_service', 'guests_service_clone')"
    )
    assert attributes.splitlines() == ["f|f|f|f|f"] * 2
    job.server.query("CREATE DATABASE other")
    allowed = "SELECT has_database_privilege('guests_service', 'guests', '{}')"
    assert [job.server.query(allowed.format(right)) for right in ("CONNECT", "TEMPORARY", "CREATE")] == ["t", "t", "f"]
    assert job.server.query("SELECT has_database_privilege('public', 'guests', 'CONNECT')") == "f"


def test_no_password_is_on_a_command_line_or_in_a_log(job: Job) -> None:
    output = job.run()
    log = (job.server.folder / "log").read_text()
    assert "SCRAM-SHA-256$" in log  # the statement was logged, with the hash of the password
    for text in (output, log, (job.aws / "calls").read_text()):
        assert USER_PASSWORD not in text
        assert MASTER_PASSWORD not in text.replace(f"$pw${MASTER_PASSWORD}$pw$", "")


def test_files_with_secrets_are_readable_only_by_their_owner(job: Job) -> None:
    job.run()
    secret = [path for path in job.secrets.iterdir() if path.suffix != ".pem"]
    assert {path.name for path in secret} >= {"connections", "master.json", "password", "user.json"}
    assert [path.name for path in secret if path.stat().st_mode & 0o077] == []


def test_rejects_a_server_with_an_untrusted_certificate(job: Job) -> None:
    shutil.copy(job.server.folder / "other.pem", job.aws / "ca.pem")
    with pytest.raises(AssertionError, match="certificate verify failed"):
        job.run()


def test_fails_if_access_to_the_secret_is_denied(job: Job) -> None:
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
def test_ca_certificates_are_downloaded_for_the_partition(job: Job, region: str, store: str) -> None:
    job.run(AWS_REGION=region)
    assert store in (job.aws / "calls").read_text()


# Rotation

_PASSWORDS = ["Zmlyc3Q", "c2Vjb25k", "dGhpcmQ"]
_WHO = "SELECT session_user || ' as ' || current_user"
_REFUSED = "password authentication failed"


def test_a_password_is_valid_until_the_rotation_after_the_next(job: Job) -> None:
    job.run()
    first = job.stored
    job.rotate(_PASSWORDS[0])
    second = job.stored
    assert (second["username"], second["password"]) == ("guests_service_clone", _PASSWORDS[0])
    assert {**second, "username": first["username"], "password": first["password"]} == first
    assert job.connect(first, _WHO) == "guests_service as guests_service"
    assert job.connect(second, _WHO) == "guests_service_clone as guests_service"

    job.rotate(_PASSWORDS[1])
    third = job.stored
    assert (third["username"], third["password"]) == ("guests_service", _PASSWORDS[1])
    assert _REFUSED in job.connect(first, _WHO)
    assert job.connect(second, _WHO) == "guests_service_clone as guests_service"
    assert job.connect(third, _WHO) == "guests_service as guests_service"


def test_both_users_work_with_the_same_objects(job: Job) -> None:
    """Also with those that the user made before there was a second one."""
    job.run()
    first = job.stored
    job.server.query("DROP ROLE guests_service_clone")
    assert job.connect(first, "CREATE TABLE books (title text); INSERT INTO books VALUES ('a')") == ""
    job.rotate(_PASSWORDS[0])
    alter = "ALTER TABLE books ADD COLUMN year int; CREATE TABLE authors (name text); SELECT title FROM books"
    assert job.connect(job.stored, alter) == "a"
    assert job.connect(first, "DROP TABLE authors; DROP TABLE books; SELECT 'dropped'") == "dropped"


@pytest.mark.parametrize(("age_days", "rotated"), [(29, False), (30, True), (400, True)])
def test_rotates_a_password_of_that_age(job: Job, age_days: int, rotated: bool) -> None:  # noqa: FBT001
    job.run()
    job.rotate(_PASSWORDS[0], age_days=age_days)
    assert (job.stored["password"] == _PASSWORDS[0]) == rotated


def test_the_job_before_a_sync_does_not_rotate(job: Job) -> None:
    job.run()
    before = job.stored
    os.utime(job.aws / "user", (0, 0))
    job.run()
    assert job.stored == before


def test_the_job_before_a_sync_keeps_the_second_user(job: Job) -> None:
    job.run()
    job.rotate(_PASSWORDS[0])
    before = job.stored
    job.server.query("ALTER ROLE guests_service_clone PASSWORD 'other'")
    job.run()
    assert job.stored == before
    assert job.connect(before, _WHO) == "guests_service_clone as guests_service"


def test_an_interrupted_rotation_is_repaired_by_the_next_run(job: Job) -> None:
    """It was killed after the password was changed, before it was stored."""
    job.run()
    first = job.stored
    (job.aws / "throttled").touch()
    with pytest.raises(AssertionError, match="ThrottlingException"):
        job.rotate(_PASSWORDS[0])
    lost = {"username": "guests_service_clone", "password": _PASSWORDS[0]}
    assert job.connect(lost, "SELECT 1") == "1"  # it was changed
    assert job.stored == first
    assert job.connect(first, "SELECT 1") == "1"

    (job.aws / "throttled").unlink()
    job.rotate(_PASSWORDS[1])
    assert (job.stored["username"], job.stored["password"]) == ("guests_service_clone", _PASSWORDS[1])
    assert job.connect(job.stored, "SELECT 1") == "1"
    assert job.connect(first, "SELECT 1") == "1"
    assert _REFUSED in job.connect(lost, "SELECT 1")


def test_an_interrupted_creation_is_repaired_by_the_next_run(job: Job) -> None:
    (job.aws / "throttled").touch()
    with pytest.raises(AssertionError, match="ThrottlingException"):
        job.run()
    (job.aws / "throttled").unlink()
    (job.aws / "random").write_text(f"{_PASSWORDS[0]}\n")
    job.run()
    assert job.connect(job.stored, "SELECT 1") == "1"


def test_does_not_change_a_password_that_a_pod_uses(job: Job) -> None:
    job.run()
    first = job.stored
    job.rotate(_PASSWORDS[0])
    second = job.stored
    environment = {**os.environ, "PGPASSWORD": USER_PASSWORD}
    command = [
        "psql",
        "--quiet",
        "--host=localhost",
        f"--port={job.server.port}",
        "--username=guests_service",
        "guests",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as pod:
        assert pod.stdin is not None
        assert pod.stdout is not None
        print("SELECT 1;", file=pod.stdin, flush=True)
        pod.stdout.readline()  # it is connected
        expected = (
            "guests_service: has 1 sessions, so its password is not changed; restart the Pods that started before"
            " guests_service_clone was stored, then run the CronJob again"
        )
        with pytest.raises(AssertionError, match=expected):
            job.rotate(_PASSWORDS[1])
        pod.stdin.close()
    assert job.stored == second
    assert [job.connect(credentials, "SELECT 1") for credentials in (first, second)] == ["1", "1"]
    job.rotate(_PASSWORDS[1])
    assert job.stored["password"] == _PASSWORDS[1]


def test_no_new_password_is_on_a_command_line_or_in_a_log(job: Job) -> None:
    job.run()
    output = job.rotate(_PASSWORDS[0])
    for text in (output, (job.server.folder / "log").read_text(), (job.aws / "calls").read_text()):
        assert _PASSWORDS[0] not in text
