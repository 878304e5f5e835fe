"""The servers that tests run against: given ones, containers, or embedded ones.

`TEST_POSTGRES_URL` and `TEST_KAFKA` name servers that are there; `TEST_WITH=docker` starts
containers (`TEST_PG_IMAGE`, `TEST_KAFKA_IMAGE`); else the embedded servers are started.
A server that cannot be had is an error, never a skip.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from embedded.kafka import SETTINGS, VERSION, Kafka
from embedded.postgres import Postgres

POSTGRES_VARIABLE = "TEST_POSTGRES_URL"
KAFKA_VARIABLE = "TEST_KAFKA"


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL where databases may be made: the URL of its superuser."""
    given = os.environ.get(POSTGRES_VARIABLE)
    if given:
        yield given
    elif _wants_containers():
        with _postgres_container() as url:
            yield url
    else:
        with Postgres(is_durable=False) as server:
            yield server.dsn()


@contextmanager
def kafka() -> Iterator[str]:
    """A Kafka broker: where to connect."""
    given = os.environ.get(KAFKA_VARIABLE)
    if given:
        yield given
    elif _wants_containers():
        with _kafka_container() as bootstrap:
            yield bootstrap
    else:
        with Kafka() as broker:
            yield broker.bootstrap


def _wants_containers() -> bool:
    wanted = os.environ.get("TEST_WITH", "embedded")
    if wanted not in {"docker", "embedded"}:
        raise ValueError(f"TEST_WITH is {wanted!r}; it may be docker or embedded")
    return wanted == "docker"


@contextmanager
def _postgres_container() -> Iterator[str]:
    from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415 - only with Docker

    image = os.environ.get("TEST_PG_IMAGE", "postgres:17")
    with PostgresContainer(image, driver=None).with_command("postgres -c fsync=off") as container:
        yield container.get_connection_url()


@contextmanager
def _kafka_container() -> Iterator[str]:
    """The official image in KRaft mode.

    The address to advertise is known only once the container runs, so the container waits
    for a start script that says it.
    """
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - only with Docker
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

    port, script = 9092, "/tmp/start.sh"  # noqa: S108 - inside the container
    environment = {
        **SETTINGS,
        "listeners": f"PLAINTEXT://:{port},BROKER://:9093,CONTROLLER://:9094",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "BROKER",
        "controller.quorum.voters": "1@localhost:9094",
    }
    container = DockerContainer(os.environ.get("TEST_KAFKA_IMAGE", f"apache/kafka:{VERSION}"))
    container.with_exposed_ports(port)
    container.with_envs(**{f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in environment.items()})
    container.with_command(["sh", "-c", f"while [ ! -s {script} ]; do sleep 0.05; done; exec bash {script}"])
    with ExitStack() as stack:
        stack.enter_context(container)
        bootstrap = f"{container.get_container_host_ip()}:{container.get_exposed_port(port)}"
        advertised = f"PLAINTEXT://{bootstrap},BROKER://$(hostname):9093"
        text = shlex.quote(f"export KAFKA_ADVERTISED_LISTENERS={advertised}\nexec /etc/kafka/docker/run\n")
        container.exec(["sh", "-c", f"printf %s {text} > {script}.x && mv {script}.x {script}"])
        LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(60).with_poll_interval(
            0.2
        ).wait_until_ready(container)
        yield bootstrap
