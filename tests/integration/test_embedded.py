"""The embedded servers: they keep what they must, leave nothing, and say what they lack."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import psycopg
import pytest

from embedded import kafka, postgres
from embedded.kafka import Kafka, find_jars, find_java
from embedded.postgres import Postgres, find_programs
from embedded.server import Running, free_port, wait_until
from schemas.errors import ConfigurationError, Unavailable

ROOT = Path(__file__).parent.parent.parent

STARTER = """
import json, time
from embedded.postgres import Postgres
from embedded.kafka import Kafka
servers = [Postgres(is_durable=False).start(), Kafka().start()]
print(json.dumps([[s.running.pid, s.running.started, str(s.directory)] for s in servers]), flush=True)
time.sleep(600)
"""


def is_missing(path: Path) -> bool:
    return not path.exists()


def services(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "embedded.services", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_postgres_keeps_its_data_over_a_crash_and_its_address_over_a_restart() -> None:
    with Postgres(is_durable=False) as server:
        url = server.dsn(server.create_database("kept"))
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE t AS SELECT 7 AS id")

        server.restart(immediate=True)

        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT id FROM t").fetchall() == [(7,)]


def test_a_stopped_server_leaves_neither_process_nor_data() -> None:
    server = Postgres(is_durable=False).start()
    directory, process = server.directory, server.running
    assert process is not None

    server.stop()

    assert not process.is_alive
    assert not directory.exists()


def test_servers_die_with_a_starter_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER], cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        started = json.loads(starter.stdout.readline())

        starter.send_signal(signal.SIGKILL)

    for pid, began, directory in started:
        assert Running(pid, began).wait_until_gone(30)
        assert wait_until(partial(is_missing, Path(directory)), 30)


def test_kafka_comes_back_on_its_address_after_a_crash() -> None:
    with Kafka() as broker:
        address = broker.bootstrap

        broker.kill()
        assert not kafka.answers("127.0.0.1", broker.port)
        broker.start()

        assert broker.bootstrap == address
        assert kafka.answers("127.0.0.1", broker.port)


def test_servers_do_not_run_as_root() -> None:
    if not Path("/proc").exists():
        pytest.fail("this test reads /proc")
    with Postgres(is_durable=False) as server:
        assert server.running is not None
        assert Path(f"/proc/{server.running.pid}").stat().st_uid != 0


def test_services_stay_are_found_again_and_are_stopped(tmp_path: Path) -> None:
    first = services("start", cwd=tmp_path)
    try:
        second = services("start", cwd=tmp_path)
        with psycopg.connect(dict(line.split("=", 1) for line in first.stdout.splitlines())["export POSTGRES_URL"]):
            pass
        assert services("status", cwd=tmp_path).returncode == 0
    finally:
        stopped = services("stop", "--remove", cwd=tmp_path)

    assert first.returncode == 0, first.stderr
    assert [line.split("=")[0] for line in first.stdout.splitlines()] == [
        "export POSTGRES_URL",
        "export NEW_POSTGRES_URL",
        "export KAFKA_BOOTSTRAP_SERVERS",
    ]
    assert second.stdout == first.stdout
    assert stopped.returncode == 0
    assert services("status", cwd=tmp_path).returncode == 3
    assert not (tmp_path / ".embedded" / "services.json").exists()


def test_a_process_id_that_another_process_has_now_is_not_ours() -> None:
    me = Running.find(os.getpid())

    assert me.is_alive
    assert not Running(me.pid, "long ago").is_alive


def test_a_port_that_is_taken_is_not_offered(bootstrap: str) -> None:
    taken = int(bootstrap.rpartition(":")[2])

    assert free_port(taken) != taken


def test_missing_java_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("REPLICATOR_JAVA", raising=False)
    monkeypatch.setattr(kafka, "find_spec", lambda name: None)

    with pytest.raises(Unavailable, match="Java 17 or newer") as raised:
        find_java()

    assert "REPLICATOR_JAVA" in raised.value.hint


def test_a_java_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATOR_JAVA", "/bin/false")

    with pytest.raises(ConfigurationError, match="REPLICATOR_JAVA: /bin/false"):
        find_java()


def test_jars_that_cannot_be_fetched_are_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network() -> list[Path]:
        raise ConnectionError("no route to host")

    monkeypatch.delenv("REPLICATOR_KAFKA_LIBS", raising=False)
    monkeypatch.setattr(kafka, "_resolve", no_network)

    with pytest.raises(Unavailable, match=r"could not be fetched: ConnectionError: no route to host") as raised:
        find_jars()

    assert "REPLICATOR_KAFKA_LIBS" in raised.value.hint


def test_a_directory_without_kafka_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REPLICATOR_KAFKA_LIBS", str(tmp_path))

    with pytest.raises(ConfigurationError, match="holds no Kafka"):
        find_jars()


def test_a_directory_without_postgresql_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REPLICATOR_PG_BIN", str(tmp_path))

    with pytest.raises(ConfigurationError, match="no initdb and postgres"):
        find_programs()


def test_the_wheel_serves_where_the_machine_has_no_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_programs_on_machine", lambda: iter(()))
    monkeypatch.delenv("REPLICATOR_PG_BIN", raising=False)

    with Postgres(is_durable=False) as server, psycopg.connect(server.dsn()) as connection:
        assert connection.info.server_version >= 180000


def test_a_server_that_cannot_start_shows_its_log() -> None:
    server = Postgres(settings={"no_such_setting": "1"})

    with pytest.raises(Unavailable, match="no_such_setting"):
        server.start()

    server.stop()
