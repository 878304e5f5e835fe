"""A session from what the command line and the environment say."""

from __future__ import annotations

from consumer.session import Session
from runtime.command import Invocation
from runtime.keyring import load_keyring


def open_session(invocation: Invocation) -> Session:
    """Everything a command of the consumer works with; connects to nothing yet."""
    return Session(
        migration=invocation.migration,
        keyring=load_keyring(invocation.environment),
        kafka=invocation.kafka,
        target=invocation.target,
        environment=invocation.environment,
    )
