"""Layer `schema`, who sees what: privileges that the migration gives, row security, triggers of the target.

Tables that the programs made belong to one role, and `grant_to` may read and write them. PUBLIC may
not, and no policy may hide rows. What else the operators of the target gave or added is told, and is theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

from runtime.postgres import Connection
from validator.sides import named_errors

GIVEN = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})

_ACCESS = """
SELECT c.relrowsecurity,
       coalesce((SELECT array_agg(t.tgname::text ORDER BY t.tgname) FROM pg_trigger t
                 WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'), '{}'),
       coalesce((SELECT array_agg(coalesce(r.rolname::text, '') || ':' || a.privilege_type)
                 FROM aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
                 WHERE a.grantee <> c.relowner), '{}'),
       (SELECT r.oid IS NOT NULL AND has_schema_privilege(r.oid, c.relnamespace, 'USAGE')
        FROM pg_roles r WHERE r.rolname = %s)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may do what with one table of the target; PUBLIC is the role without a name."""

    has_row_security: bool
    triggers: tuple[str, ...]
    privileges: frozenset[tuple[str, str]]  # role and what it may do
    can_use_schema: bool

    def problems(self, grant_to: str | None) -> list[str]:
        """What is not as the migration asks for.

        >>> nobody = Access(has_row_security=False, triggers=(), privileges=frozenset(), can_use_schema=True)
        >>> nobody.problems(None), nobody.problems("app")[0]
        ([], 'role "app" of grant_to lacks privileges: DELETE, INSERT, SELECT, UPDATE')
        """
        found = []
        if self.has_row_security:
            found.append("row security is on in the target: sessions may see fewer rows than there are")
        if public := sorted(what for role, what in self.privileges if not role):
            found.append(f"PUBLIC has privileges that the migration does not give: {', '.join(public)}")
        if grant_to is not None:
            lacking = sorted(GIVEN - {what for role, what in self.privileges if role == grant_to})
            if lacking:
                found.append(f'role "{grant_to}" of grant_to lacks privileges: {", ".join(lacking)}')
            elif not self.can_use_schema:
                found.append(f'role "{grant_to}" of grant_to lacks the privilege USAGE on the schema')
        return found

    def notes(self, grant_to: str | None) -> list[str]:
        """What operators of the target added."""
        found = []
        if self.triggers:
            found.append(f"triggers of the target: {', '.join(self.triggers)}")
        if others := sorted({role for role, _ in self.privileges if role not in ("", grant_to)}):
            found.append(f"roles with privileges besides grant_to: {', '.join(others)}")
        return found


def read_access(target: Connection, schema: str, table: str, grant_to: str | None) -> Access:
    """Ask the target's catalogue about one table that is there."""
    with named_errors("target", f"{table}: privileges"):
        row = target.execute(_ACCESS, (grant_to, schema, table)).fetchone()
    assert row is not None
    has_row_security, triggers, privileges, can_use_schema = row
    pairs = (item.rpartition(":") for item in privileges)
    return Access(
        has_row_security=has_row_security,
        triggers=tuple(triggers),
        privileges=frozenset((role, what) for role, _, what in pairs),
        can_use_schema=bool(can_use_schema),
    )
