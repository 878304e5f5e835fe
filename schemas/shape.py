"""What of a migration shapes the data, part by part: so that a change can be named, not only noticed. Pure.

The log keeps a short hash of each part beside the digest of the whole: it tells which parts differ,
and of neither what they say.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

MOST_TOLD = 8


def parts_of(shape: Mapping[str, object]) -> dict[str, str]:
    """The parts by name, each with a short hash of what it says; members of a list are parts, too.

    >>> sorted(parts_of({"schema": "shop", "table": {"orders": {"encrypt": ["email"], "partitions": None}}}))
    ['schema', 'table.orders.encrypt email', 'table.orders.partitions']
    """
    return {name: _hash(name, value) for name, value in _leaves("", shape)}


def _leaves(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from _leaves(f"{name}.{key}" if name else str(key), part)
    elif isinstance(value, list | tuple) and name.endswith(".encrypt"):
        for member in value:
            yield f"{name} {member}", ""
    else:
        yield name, value


def _hash(name: str, value: object) -> str:
    text = json.dumps([name, value], ensure_ascii=True, sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def changes(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs, in words; "" when nothing is known of what was.

    >>> changes({"schema": "a", "table.orders.encrypt email": "b"}, {"schema": "c", "table.orders.encrypt name": "d"})
    'schema is another; table.orders.encrypt email is gone; table.orders.encrypt name is new'
    """
    if not then:
        return ""
    found = [
        f"{name} is {'new' if name not in then else 'gone' if name not in now else 'another'}"
        for name in sorted(then.keys() | now.keys())
        if then.get(name) != now.get(name)
    ]
    more = [f"and {len(found) - MOST_TOLD} more"] if len(found) > MOST_TOLD else []
    return "; ".join(found[:MOST_TOLD] + more)
