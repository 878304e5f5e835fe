"""Layer `schema`, who sees what: privileges that the migration gives, row security, triggers of the target.

Tables that the programs made belong to one role, and `grant_to` may read and write them. PUBLIC may
not, and no policy may hide rows. What else the operators of the target gave or added is told, and is theirs.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from runtime.postgres import Connection
from validator.sides import named_errors

GIVEN = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})

# Privileges of columns, of the schema and of sequences are told as "SELECT of column x" and the like.
_ACCESS = """
SELECT c.relrowsecurity,
       coalesce((SELECT array_agg(t.tgname::text ORDER BY t.tgname) FROM pg_trigger t
                 WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'), '{}'),
       coalesce((SELECT array_agg(coalesce(r.rolname::text, '') || ':' || given.what) FROM (
                   SELECT a.grantee, a.privilege_type AS what FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner
                   UNION ALL
                   SELECT a.grantee, a.privilege_type || ' of column ' || quote_ident(k.attname)
                   FROM pg_attribute k, aclexplode(k.attacl) a
                   WHERE k.attrelid = c.oid AND NOT k.attisdropped AND a.grantee <> c.relowner
                   UNION ALL
                   SELECT a.grantee, a.privilege_type || ' of the schema' FROM aclexplode(n.nspacl) a WHERE a.grantee = 0
                   UNION ALL
                   SELECT a.grantee, a.privilege_type || ' of sequence ' || quote_ident(s.relname)
                   FROM pg_class s, aclexplode(s.relacl) a
                   WHERE s.oid = ANY (own.sequences) AND a.grantee <> s.relowner
                 ) AS given LEFT JOIN pg_roles r ON r.oid = given.grantee), '{}'),
       (SELECT r.oid IS NOT NULL AND has_schema_privilege(r.oid, c.relnamespace, 'USAGE')
        FROM pg_roles r WHERE r.rolname = %s),
       coalesce((SELECT array_agg(quote_ident(s.relname) ORDER BY s.relname) FROM pg_class s WHERE s.oid = ANY (own.sequences)), '{}'),
       CASE WHEN c.relowner <> n.nspowner THEN pg_get_userbyid(c.relowner)::text END,
       coalesce((SELECT array_agg(DISTINCT k.conname::text ORDER BY k.conname::text)
                 FROM pg_trigger t JOIN pg_constraint k ON k.oid = t.tgconstraint AND k.contype = 'f'
                 WHERE t.tgrelid = c.oid AND t.tgisinternal AND t.tgenabled IN ('D', 'R')), '{}'),
       coalesce((SELECT array_agg(r.rulename::text ORDER BY r.rulename) FROM pg_rewrite r WHERE r.ev_class = c.oid), '{}')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (SELECT ARRAY(
    SELECT s.oid FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype IN ('a', 'i')
) AS sequences) AS own
WHERE n.nspname = %s AND c.relname = %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may do what with one table of the target; PUBLIC is the role without a name."""

    has_row_security: bool
    triggers: tuple[str, ...]
    privileges: frozenset[tuple[str, str]]  # role and what it may do
    can_use_schema: bool
    sequences: tuple[str, ...] = ()  # that its columns own
    stranger: str | None = None  # its owner, when the schema's is another
    idle_keys: tuple[str, ...] = ()  # foreign keys whose triggers somebody disabled
    rules: tuple[str, ...] = ()

    def problems(self, grant_to: str | None) -> list[str]:
        """What is not as the migration asks for.

        >>> nobody = Access(has_row_security=False, triggers=(), privileges=frozenset(), can_use_schema=True)
        >>> nobody.problems(None), nobody.problems("app")[0]
        ([], 'role "app" of grant_to lacks privileges: DELETE, INSERT, SELECT, UPDATE')
        """
        found = []
        if self.has_row_security:
            found.append("row security is on in the target: sessions may see fewer rows than there are")
        if self.idle_keys:
            found.append(
                f"foreign keys that are not looked at, their triggers are disabled: {', '.join(self.idle_keys)}"
            )
        if self.stranger is not None:
            found.append(f'is owned by "{self.stranger}", the schema is not')
        if public := sorted(what for role, what in self.privileges if not role):
            found.append(f"PUBLIC has privileges that the migration does not give: {', '.join(public)}")
        if grant_to is not None:
            wanted = GIVEN | {f"{what} of sequence {name}" for name in self.sequences for what in ("SELECT", "USAGE")}
            lacking = sorted(wanted - {what for role, what in self.privileges if role == grant_to})
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
        if self.rules:
            found.append(f"rules of the target: {', '.join(self.rules)}")
        more = {what for role, what in self.privileges if role == grant_to and " of sequence " not in what} - GIVEN
        if more:
            found.append(f'role "{grant_to}" of grant_to has more privileges: {", ".join(sorted(more))}')
        if others := sorted({role for role, _ in self.privileges if role not in ("", grant_to)}):
            found.append(f"roles with privileges besides grant_to: {', '.join(others)}")
        return found


def read_access(target: Connection, schema: str, table: str, grant_to: str | None) -> Access:
    """Ask the target's catalogue about one table that is there."""
    with named_errors("target", f"{table}: privileges"):
        row = target.execute(_ACCESS, (grant_to, schema, table)).fetchone()
    assert row is not None
    has_row_security, triggers, privileges, can_use_schema, sequences, stranger, idle_keys, rules = row
    pairs = (item.rpartition(":") for item in privileges)
    return Access(
        has_row_security=has_row_security,
        triggers=tuple(triggers),
        privileges=frozenset((role, what) for role, _, what in pairs),
        can_use_schema=bool(can_use_schema),
        sequences=tuple(sequences),
        stranger=stranger,
        idle_keys=tuple(idle_keys),
        rules=tuple(rules),
    )


_RELATIONS = """
SELECT c.relname::text, CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
                                       WHEN 'f' THEN 'foreign table' ELSE 'table' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1
"""


def read_strangers(target: Connection, schema: str, known: Collection[str]) -> list[str]:
    """What stands in the tenant's schema and is no table of the migration, nor a partition of one."""
    with named_errors("target", f'schema "{schema}"'):
        rows = target.execute(_RELATIONS, (schema,)).fetchall()
    return [f"{kind} {name}" for name, kind in rows if name not in known]
