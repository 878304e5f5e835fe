"""Before a consumer can do anything: a log must be there, and be the one that its topics were made for."""

from __future__ import annotations

from collections.abc import Callable

from consumer.control import ControlReader
from consumer.session import Session
from runtime.control import check_topics
from runtime.kafka import Admin
from runtime.progress import read_progress
from runtime.shutdown import StopFlag
from schemas.avro import control_topic
from schemas.control import ControlState
from schemas.errors import LogError

EXISTS_S = 0.25
BEGINS_S = 0.5


def await_log(session: Session, stop: StopFlag, say_waiting: Callable[[str], None]) -> ControlReader | None:
    """Wait for the first generation in the control topic; None when stopped before.

    Raises:
        LogError: no broker answers, or the topics are gone that the target was loaded from, or have lost records.
    """
    admin = session.admin()
    admin.ping(say_waiting)
    topic = control_topic(session.prefix)
    if not admin.exists(topic):
        _see_unknown(session)
    while not admin.exists(topic):
        say_waiting(f"the first snapshot (topic {topic})")
        if stop.wait(EXISTS_S):
            return None
    control = ControlReader(session)
    control.catch_up()
    if not control.state.generations:
        _see_unknown(session)
    while not control.state.generations:
        say_waiting(f"the first snapshot (topic {topic})")
        if stop.wait(BEGINS_S):
            control.close()
            return None
        control.read()
    check_topics(admin, control.state, {})
    return control


def see_again(admin: Admin, state: ControlState) -> None:
    """After a long silence: what is waited for must still be able to come. A broker that does not answer is borne.

    A topic that was made anew is empty, and would be waited for without end.

    Raises:
        LogError: topics were deleted, made anew, or have lost records.
    """
    try:
        admin.ping()
    except LogError:
        return
    check_topics(admin, state, {})


def _see_unknown(session: Session) -> None:
    """There is no log, or an empty one: fine, unless the target has rows of one.

    Raises:
        LogError: it has; the topics were deleted, or made anew.
    """
    with session.connect() as connection:
        progress = read_progress(connection, session.tenant)
    if progress is not None and progress.generations:
        raise LogError(
            f"topic {control_topic(session.prefix)} is gone or empty, and the target has generation "
            f"{max(progress.generations)} of tenant {session.tenant} from it",
            hint="if the move is over, nothing is to be done; to start over: `consumer rollback`, then "
            "`producer snapshot`",
        )
