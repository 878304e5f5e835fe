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

# Of the table and its partitions: each may be read by itself, and has the triggers of its own keys.
# Privileges of columns, partitions, the schema and sequences are told as "SELECT of column x" and the like.
_ACCESS = """
WITH root AS (
    SELECT c.oid, n.nspowner, n.nspacl, n.oid AS schema FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s
), member AS (
    SELECT c.oid, c.relname, c.relowner, c.relacl, c.relrowsecurity, c.oid = root.oid AS is_root,
           CASE WHEN c.oid = root.oid THEN '' ELSE ' of partition ' || quote_ident(c.relname) END AS of_part
    FROM root JOIN pg_class c ON c.oid = root.oid OR c.oid IN (SELECT tree.relid FROM pg_partition_tree(root.oid) AS tree)
), sequence AS (  -- that columns own or draw from
    SELECT DISTINCT s.oid, s.relname, s.relowner, s.relacl FROM root JOIN pg_class s ON s.relnamespace = root.schema AND s.relkind = 'S'
    WHERE EXISTS (
        SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = s.oid
          AND d.refclassid = 'pg_class'::regclass AND d.refobjid = root.oid AND d.deptype IN ('a', 'i'))
      OR EXISTS (
        SELECT FROM pg_attrdef a JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid
        WHERE a.adrelid = root.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid)
), given AS (
    SELECT a.grantee, a.privilege_type || member.of_part AS what
    FROM member, aclexplode(member.relacl) a WHERE a.grantee <> member.relowner
    UNION ALL
    SELECT a.grantee, a.privilege_type || ' of column ' || quote_ident(k.attname) || member.of_part
    FROM member JOIN pg_attribute k ON k.attrelid = member.oid AND NOT k.attisdropped, aclexplode(k.attacl) a
    WHERE a.grantee <> member.relowner
    UNION ALL
    SELECT a.grantee, a.privilege_type || ' of the schema' FROM root, aclexplode(root.nspacl) a WHERE a.grantee = 0
    UNION ALL
    SELECT a.grantee, a.privilege_type || ' of sequence ' || quote_ident(sequence.relname)
    FROM sequence, aclexplode(sequence.relacl) a WHERE a.grantee <> sequence.relowner
)
SELECT ARRAY(SELECT relname::text FROM member WHERE relrowsecurity ORDER BY is_root DESC, relname),
       ARRAY(SELECT DISTINCT t.tgname::text FROM pg_trigger t JOIN member ON member.oid = t.tgrelid
             WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' ORDER BY 1),
       ARRAY(SELECT ARRAY[coalesce(r.rolname::text, ''), given.what] FROM given LEFT JOIN pg_roles r ON r.oid = given.grantee),
       (SELECT has_schema_privilege(r.oid, root.schema, 'USAGE') FROM pg_roles r WHERE r.rolname = %s),
       ARRAY(SELECT quote_ident(relname) FROM sequence ORDER BY relname),
       ARRAY(SELECT format('%%sis owned by "%%s"', CASE WHEN NOT is_root THEN format('partition "%%s" ', relname) END, pg_get_userbyid(relowner))
             FROM member WHERE relowner <> root.nspowner ORDER BY is_root DESC, relname),
       ARRAY(SELECT DISTINCT k.conname::text FROM pg_trigger t JOIN member ON member.oid = t.tgrelid
             JOIN pg_constraint k ON k.oid = t.tgconstraint
             WHERE t.tgisinternal AND t.tgenabled IN ('D', 'R') ORDER BY 1),
       ARRAY(SELECT DISTINCT r.rulename::text FROM pg_rewrite r JOIN member ON member.oid = r.ev_class ORDER BY 1),
       ARRAY(SELECT DISTINCT p.polname::text FROM pg_policy p JOIN member ON member.oid = p.polrelid ORDER BY 1)
FROM root
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may do what with one table of the target; PUBLIC is the role without a name."""

    secured: tuple[str, ...]  # the table, or its partitions, that have row security
    triggers: tuple[str, ...]
    privileges: frozenset[tuple[str, str]]  # role and what it may do
    can_use_schema: bool
    sequences: tuple[str, ...] = ()  # that its columns own or draw from
    strangers: tuple[str, ...] = ()  # who owns what, when the schema's owner is another
    idle_keys: tuple[str, ...] = ()  # foreign keys and deferrable ones whose triggers somebody disabled
    rules: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()

    def problems(self, grant_to: str | None) -> list[str]:
        """What is not as the migration asks for.

        >>> nobody = Access(secured=(), triggers=(), privileges=frozenset(), can_use_schema=True)
        >>> nobody.problems(None), nobody.problems("app")[0]
        ([], 'role "app" of grant_to lacks privileges: DELETE, INSERT, SELECT, UPDATE')
        """
        found = []
        if self.secured:
            found.append(
                "row security is on in the target: sessions may see fewer rows than there are"
                f" ({', '.join(self.secured)})"
            )
        if self.idle_keys:
            found.append(f"keys that are not looked at, their triggers are disabled: {', '.join(self.idle_keys)}")
        found += [f"{stranger}, the schema is not" for stranger in self.strangers]
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
        if self.policies:
            found.append(
                f"policies of the target, which row security that is off does not ask: {', '.join(self.policies)}"
            )
        mine = {what for role, what in self.privileges if role == grant_to and " of sequence " not in what}
        more = {what for what in mine if what.partition(" of partition ")[0] not in GIVEN}
        if more:
            found.append(f'role "{grant_to}" of grant_to has more privileges: {", ".join(sorted(more))}')
        if others := sorted({role for role, _ in self.privileges if role not in ("", grant_to)}):
            found.append(f"roles with privileges besides grant_to: {', '.join(others)}")
        return found


def read_access(target: Connection, schema: str, table: str, grant_to: str | None) -> Access:
    """Ask the target's catalogue about one table that is there."""
    with named_errors("target", f"{table}: privileges"):
        row = target.execute(_ACCESS, (schema, table, grant_to)).fetchone()
    assert row is not None
    secured, triggers, privileges, can_use_schema, sequences, strangers, idle_keys, rules, policies = row
    return Access(
        secured=tuple(secured),
        triggers=tuple(triggers),
        privileges=frozenset((role, what) for role, what in privileges),
        can_use_schema=bool(can_use_schema),
        sequences=tuple(sequences),
        strangers=tuple(strangers),
        idle_keys=tuple(idle_keys),
        rules=tuple(rules),
        policies=tuple(policies),
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
