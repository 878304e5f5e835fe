"""`python -m tests.real_schemas [NAME…]`: moves schemas of other people's packages and says what came of each.

Packages are fetched once, by pip and jgo, into `.embedded/real_schemas` and jgo's cache. Servers are
those of the tests (`TEST_POSTGRES_URL`, `TEST_KAFKA`, else embedded ones).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests import servers
from tests.real_schemas.moving import move
from tests.real_schemas.schemas import SCHEMAS


def main() -> int:
    """Exit 0 when every schema arrived as it was, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m tests.real_schemas", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(schema.name for schema in SCHEMAS))
    names = parser.parse_args().names
    if unknown := set(names) - {schema.name for schema in SCHEMAS}:
        parser.error(f"no such schema: {', '.join(sorted(unknown))}")
    is_whole = True
    print(f"{'schema':<16}{'tables':>8}{'rows':>10}  {'oracle':<20}{'reconcile':<14}from")
    with servers.postgres() as server_url, servers.kafka() as bootstrap, tempfile.TemporaryDirectory() as folder:
        for schema in SCHEMAS:
            if names and schema.name not in names:
                continue
            moved = move(schema, server_url, bootstrap, Path(folder))
            verdict = f"{len(moved.differences)} differences" if moved.differences else "equal"
            proof = "0 (equal)" if moved.reconcile == 0 else str(moved.reconcile)
            print(
                f"{schema.name:<16}{moved.tables:>8}{moved.rows:>10}  {verdict:<20}{proof:<14}{schema.origin}",
                flush=True,
            )
            for text in moved.differences[:20]:
                print(f"    {text}")
            is_whole = is_whole and not moved.differences and moved.reconcile == 0
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
