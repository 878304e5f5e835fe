"""The name that somebody who mistyped another one probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The most similar of `names`, case apart; None when none is similar.

    >>> nearest("costumers", ["orders", "customers"])
    'customers'
    """
    wanted = name.casefold()
    scored = [(SequenceMatcher(None, wanted, other.casefold()).ratio(), other) for other in sorted(set(names) - {name})]
    best = max(scored, key=lambda pair: pair[0], default=(0.0, ""))
    return best[1] if best[0] >= 0.6 else None


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """What a message ends with: ` (did you mean "x"?)`, or nothing."""
    found = nearest(name, names)
    return "" if found is None else f' (did you mean "{found}"?)'
