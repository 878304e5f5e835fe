"""`./dev services`: a source, a target and a Kafka that stay up until they are stopped.

What runs is written to `.embedded/services.json`; a process is known by its id and its start
time, so that nobody else's process is ever stopped. Standard output carries only `export`
lines for the shell's `eval`; messages go to standard error.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Self

from embedded.account import Account, ordinary_account
from embedded.kafka import Kafka
from embedded.postgres import Postgres
from embedded.server import Running
from schemas.errors import ReplicatorError, Unavailable

FOLDER = Path(".embedded")
STATE = FOLDER / "services.json"
STOP_TIMEOUT_S = 30.0
VARIABLES = {"source": "POSTGRES_URL", "target": "NEW_POSTGRES_URL", "kafka": "KAFKA_BOOTSTRAP_SERVERS"}


@dataclass(frozen=True, slots=True)
class Service:
    """One server that runs: how to reach it, and which process it is."""

    name: str
    address: str
    port: int
    process: Running
    directory: str


@dataclass(frozen=True, slots=True)
class State:
    """What was started, where the data lie, and why they lie elsewhere if they do."""

    data: str
    note: str = ""
    services: dict[str, Service] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Self | None:
        """The state file's content; None if nothing was ever started."""
        if not STATE.exists():
            return None
        content = json.loads(STATE.read_text())
        services = {
            name: Service(**{**service, "process": Running(**service["process"])})
            for name, service in content["services"].items()
        }
        return cls(content["data"], content["note"], services)

    def write(self) -> None:
        """Replace the state file as a whole."""
        draft = STATE.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(self), indent=2) + "\n")
        draft.replace(STATE)


def start() -> dict[str, str]:
    """Start what does not run; the variables by which the programs find all of it."""
    with _alone():
        state = State.read() or _fresh_state(ordinary_account())
        running = {name for name, service in state.services.items() if service.process.is_alive}
        missing = [name for name in VARIABLES if name not in running]
        if state.note:
            _say(state.note)
        with ThreadPoolExecutor() as pool:
            starts = {name: pool.submit(_start, name, state) for name in missing}
        faults = [fault for made in starts.values() if (fault := made.exception()) is not None]
        begun = {name: made.result() for name, made in starts.items() if made.exception() is None}
        services = {**state.services, **begun}
        State(state.data, state.note, services).write()
        if faults:
            raise faults[0]
        for name in VARIABLES:
            _say(f"{name}: {services[name].address}" + ("" if name in missing else " (was running)"))
        return {variable: services[name].address for name, variable in VARIABLES.items()}


def stop(*, remove: bool = False) -> None:
    """Stop what was started, by process; `remove` the data too."""
    if not FOLDER.exists():
        _say("nothing was started here")
        return
    with _alone():
        state = State.read()
        for service in state.services.values() if state else ():
            if service.process.is_alive:
                number = signal.SIGTERM if service.name == "kafka" else signal.SIGINT
                service.process.end(number, STOP_TIMEOUT_S)
                _say(f"{service.name}: stopped")
            else:
                _say(f"{service.name}: was not running")
        if state and remove:
            shutil.rmtree(state.data, ignore_errors=True)
            STATE.unlink()
            _say(f"removed {state.data}")


def status() -> bool:
    """Say what runs; True if all of it does."""
    state = State.read()
    services = state.services if state else {}
    alive = {name: name in services and services[name].process.is_alive for name in VARIABLES}
    for name, is_alive in alive.items():
        where = f"{services[name].address}, process {services[name].process.pid}" if is_alive else "not running"
        _say(f"{name}: {where}")
    if state:
        _say(f"data: {state.data}")
    return all(alive.values())


def main() -> None:
    """Start, stop or show the services."""
    parser = argparse.ArgumentParser(prog="./dev services", description=main.__doc__)
    parser.add_argument("action", nargs="?", default="start", choices=["start", "stop", "status"])
    parser.add_argument("--remove", action="store_true", help="with stop: remove the data too")
    options = parser.parse_args()
    try:
        if options.action == "start":
            for variable, value in start().items():
                print(f"export {variable}={shlex.quote(value)}")
        elif options.action == "stop":
            stop(remove=options.remove)
        elif not status():
            sys.exit(3)
    except ReplicatorError as error:
        _say(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""))
        sys.exit(error.exit_code)


def _start(name: str, state: State) -> Service:
    directory = Path(state.data) / name
    before = state.services.get(name)
    port = before.port if before else None  # so that a shell's variables go on being right
    if name == "kafka":
        kafka = Kafka(directory, port=port, outlive=True).start()
        return _service(name, kafka.bootstrap, kafka.port, kafka.running, directory)
    server = Postgres(directory, port=port, outlive=True).start()
    return _service(name, server.dsn(server.create_database(name)), server.port, server.running, directory)


def _service(name: str, address: str, port: int, process: Running | None, directory: Path) -> Service:
    assert process is not None
    return Service(name, address, port, process, str(directory))


def _fresh_state(account: Account) -> State:
    """Data lie below `.embedded`; where the servers' user cannot get there, below the temporary directory."""
    here = (FOLDER / "data").resolve()
    here.mkdir(exist_ok=True)
    if account.can_reach(here):
        return State(str(here))
    here.rmdir()
    digest = hashlib.sha256(str(here).encode()).hexdigest()[:12]
    there = Path(tempfile.gettempdir()) / f"replicator-services-{digest}"
    there.mkdir(mode=0o755, exist_ok=True)
    if there.is_symlink() or there.stat().st_uid != os.geteuid() or not account.can_reach(there):
        raise Unavailable(
            f"servers do not run as root, and their user reaches neither {here} nor {there}",
            hint="set TMPDIR to a directory that every user may enter, or run as an ordinary user",
        )
    return State(str(there), f"the servers' user cannot enter {here.parent}: the data are in {there}")


@contextmanager
def _alone() -> Iterator[None]:
    """One start or stop at a time."""
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "services.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        yield


def _say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
