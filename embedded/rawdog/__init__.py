"""RAWDOG's old database, made up: its schema, and rows with everything that grew wrong over the years."""

from __future__ import annotations

from embedded.rawdog.generate import load
from embedded.rawdog.marks import CANARY, KEPT_MARK
from embedded.rawdog.mess import MESS, WAITING, QuarantinedRow, WaitingKey
from embedded.rawdog.proportions import TABLES

__all__ = ["CANARY", "KEPT_MARK", "MESS", "TABLES", "WAITING", "QuarantinedRow", "WaitingKey", "load"]
