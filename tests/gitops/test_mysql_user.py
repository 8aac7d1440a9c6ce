"""Tests the Job that creates users of MySQL with a real MariaDB server with TLS and a fake `aws` program."""

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

# What both the master of RDS for MySQL and MariaDB have, with the right to grant it.
# Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.MasterAccounts.html
_OF_MASTER = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES,"
    " CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, CREATE VIEW, SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE,"
    " CREATE USER, EVENT, TRIGGER"
)


@dataclass
class Server:
    """MariaDB on loopback, which accepts TLS only, with a master user that is no superuser, as in RDS."""

    port: int
    folder: Path

    def query(self, statement: str) -> str:
        command = ["mariadb", "--no-defaults", "--batch", "--skip-column-names", f"--socket={self.folder}/socket"]
        command += ["--user=root", f"--execute={statement}"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    programs = ("mariadb", "mariadbd", "mariadb-install-db", "jq", "openssl")
    missing = [name for name in programs if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="mariadb-") as name:  # the path of a socket is short
        folder = Path(name)
        make_certificates(folder)
        with _running(folder) as port:
            running = Server(port, folder)
            password = MASTER_PASSWORD.replace("\\", "\\\\").replace("'", "''")
            running.query(f"CREATE USER master IDENTIFIED BY '{password}'; CREATE DATABASE guests")
            running.query(f"GRANT {_OF_MASTER} ON *.* TO master WITH GRANT OPTION")
            # MariaDB has a right of its own, which belongs to ALL PRIVILEGES.
            running.query("GRANT DELETE HISTORY ON *.* TO master WITH GRANT OPTION")
            yield running


@contextmanager
def _running(folder: Path) -> Iterator[int]:
    """A MariaDB server on a free port, with its data in `folder`."""
    port, user = free_port(), ["--user=root"] if os.geteuid() == 0 else []
    options = ["--no-defaults", f"--datadir={folder}/data", *user]
    install = ["mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(install, check=True, capture_output=True)
    settings = {
        "bind-address": "127.0.0.1",
        "port": port,
        "socket": folder / "socket",
        "pid-file": folder / "pid",
        "require-secure-transport": "on",
        "ssl-cert": folder / "server.pem",
        "ssl-key": folder / "server.key",
    }
    program = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    command = [
        str(program),
        *options,
        "--skip-name-resolve",
        *(f"--{name}={value}" for name, value in settings.items()),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        is_ready = ["mariadb-admin", "--no-defaults", f"--socket={folder}/socket", "--user=root", "ping"]
        while subprocess.run(is_ready, check=False, capture_output=True).returncode:
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


@dataclass
class Job(database_job.Job):
    """The Job with a MariaDB server."""

    server: Server

    def command(self, credentials: Mapping[str, object], *options: str) -> tuple[list[str], dict[str, str]]:
        """How a Pod with these credentials connects: a command and its environment."""
        command = ["mariadb", "--no-defaults", "--protocol=tcp", "--host=localhost", f"--port={self.server.port}"]
        command += [f"--ssl-ca={self.server.folder}/ca.pem", f"--user={credentials['username']}", "--batch"]
        return [*command, "--skip-column-names", *options], {**os.environ, "MYSQL_PWD": str(credentials["password"])}

    def connect(self, credentials: Mapping[str, object], statement: str, *options: str) -> str:
        """What the client prints for a new connection of a Pod with these credentials."""
        command, environment = self.command(credentials, f"--execute={statement}", *options, "guests")
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        return (done.stdout + done.stderr).strip()


@pytest.fixture
def job(server: Server, tmp_path: Path) -> Job:
    server.query("DROP USER IF EXISTS guests_service, guests_service_clone")
    server.query("DROP DATABASE IF EXISTS other; DROP DATABASE guests; CREATE DATABASE guests")
    plain = database_job.job(tmp_path, server.folder, server.port, "make-mysql-user.sh", ENGINE="mysql")
    return Job(**vars(plain), server=server)


_PASSWORDS = ["Zmlyc3Q", "c2Vjb25k", "dGhpcmQ"]
_WHO = "SELECT substring_index(current_user(), '@', 1)"
_REFUSED = "Access denied for user"


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
    assert job.connect(job.stored, _WHO) == "guests_service"


def test_the_port_is_that_of_mysql(job: Job) -> None:
    with pytest.raises(AssertionError, match="'localhost'"):  # nothing listens there
        job.run(PORT="")
    assert json.loads((job.secrets / "user.json").read_text())["port"] == 3306


def test_a_second_run_changes_nothing(job: Job) -> None:
    job.run()
    (job.aws / "random").unlink()
    before = job.stored
    job.run()
    assert job.stored == before
    assert (job.aws / "calls").read_text().count("put-secret-value") == 1


def test_restores_a_changed_user(job: Job) -> None:
    job.run()
    job.server.query("ALTER USER guests_service IDENTIFIED BY 'other' REQUIRE NONE")
    job.server.query("REVOKE ALL PRIVILEGES, GRANT OPTION FROM guests_service")
    job.run()
    assert job.connect(job.stored, "CREATE TABLE books (title text); SHOW TABLES") == "books"


def test_a_password_that_was_set_by_hand_is_used_as_it_is(job: Job) -> None:
    (job.aws / "user").write_text(json.dumps({"username": "guests_service", "password": MASTER_PASSWORD}))
    job.run()
    assert job.stored["password"] == MASTER_PASSWORD
    assert job.connect(job.stored, _WHO) == "guests_service"


def test_users_have_permissions_only_in_their_database(job: Job) -> None:
    job.run()
    job.server.query("CREATE DATABASE other; CREATE TABLE other.books (title text)")
    assert "Access denied" in job.connect(job.stored, "CREATE DATABASE another")
    assert "command denied" in job.connect(job.stored, "SELECT * FROM other.books")
    assert "command denied" in job.connect(job.stored, "SELECT * FROM mysql.global_priv")


def test_connections_without_tls_are_refused(job: Job) -> None:
    job.run()
    assert "without SSL" in job.connect(job.stored, _WHO, "--skip-ssl") or _REFUSED in job.connect(
        job.stored, _WHO, "--skip-ssl"
    )


def test_no_password_is_on_a_command_line_or_in_a_log(job: Job) -> None:
    output = job.run() + job.rotate(_PASSWORDS[0])
    for text in (output, (job.server.folder / "log").read_text(), (job.aws / "calls").read_text()):
        for password in (MASTER_PASSWORD, USER_PASSWORD, _PASSWORDS[0]):
            assert password not in text


def test_files_with_secrets_are_readable_only_by_their_owner(job: Job) -> None:
    job.run()
    secret = [path for path in job.secrets.iterdir() if path.suffix != ".pem"]
    assert {path.name for path in secret} >= {"connections", "master.json", "password", "user.json"}
    assert [path.name for path in secret if path.stat().st_mode & 0o077] == []


def test_rejects_a_server_with_an_untrusted_certificate(job: Job) -> None:
    shutil.copy(job.server.folder / "other.pem", job.aws / "ca.pem")
    with pytest.raises(AssertionError, match="certificate"):
        job.run()


# Rotation


def test_a_password_is_valid_until_the_rotation_after_the_next(job: Job) -> None:
    job.run()
    first = job.stored
    job.rotate(_PASSWORDS[0])
    second = job.stored
    assert (second["username"], second["password"]) == ("guests_service_clone", _PASSWORDS[0])
    assert job.connect(first, _WHO) == "guests_service"
    assert job.connect(second, _WHO) == "guests_service_clone"

    job.rotate(_PASSWORDS[1])
    third = job.stored
    assert (third["username"], third["password"]) == ("guests_service", _PASSWORDS[1])
    assert _REFUSED in job.connect(first, _WHO)
    assert job.connect(second, _WHO) == "guests_service_clone"
    assert job.connect(third, _WHO) == "guests_service"


def test_both_users_work_with_the_same_objects(job: Job) -> None:
    job.run()
    first = job.stored
    create = (
        "CREATE TABLE books (title text); INSERT INTO books VALUES ('a'); CREATE VIEW titles AS SELECT * FROM books"
    )
    assert job.connect(first, create) == ""
    job.rotate(_PASSWORDS[0])
    assert job.connect(job.stored, "ALTER TABLE books ADD COLUMN year int; SELECT title FROM titles") == "a"
    assert job.connect(job.stored, "DROP VIEW titles; DROP TABLE books; SELECT 'dropped'") == "dropped"


def test_an_interrupted_rotation_is_repaired_by_the_next_run(job: Job) -> None:
    """It was killed after the password was changed, before it was stored."""
    job.run()
    first = job.stored
    (job.aws / "throttled").touch()
    with pytest.raises(AssertionError, match="ThrottlingException"):
        job.rotate(_PASSWORDS[0])
    assert job.stored == first
    assert job.connect(first, _WHO) == "guests_service"
    (job.aws / "throttled").unlink()
    job.rotate(_PASSWORDS[1])
    assert (job.stored["username"], job.stored["password"]) == ("guests_service_clone", _PASSWORDS[1])
    assert job.connect(job.stored, _WHO) == "guests_service_clone"


def test_does_not_change_a_password_that_a_pod_uses(job: Job) -> None:
    job.run()
    first = job.stored
    job.rotate(_PASSWORDS[0])
    second = job.stored
    command, environment = job.command(first, "--unbuffered", "guests")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as pod:
        assert pod.stdin is not None
        assert pod.stdout is not None
        print("SELECT 1;", file=pod.stdin, flush=True)
        pod.stdout.readline()  # it is connected
        with pytest.raises(AssertionError, match="guests_service: has 1 sessions, so its password is not changed"):
            job.rotate(_PASSWORDS[1])
        pod.stdin.close()
    assert job.stored == second
    job.rotate(_PASSWORDS[1])
    assert job.stored["password"] == _PASSWORDS[1]
