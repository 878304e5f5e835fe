from collections.abc import Iterator

import psycopg
import pytest

from consumer.rollback import plan_rollback, roll_back
from runtime import advance, generations, ownership
from runtime.postgres import open_target
from schemas.catalogue import Catalogue, Table
from schemas.errors import ConfigurationError, Refused, TargetError
from schemas.migration import Migration, parse_migration

INSTANT = "2026-11-01T00:00:00.000000Z"


def migration(tenant: str = "a") -> Migration:
    return parse_migration(
        f'tenant = "{tenant}"\ntables = ["customers", "orders"]\n[organization]\nvalues = {{ slug = "{tenant}" }}\n',
        "a.toml",
    )


@pytest.fixture
def connection(target_url: str) -> Iterator[psycopg.Connection]:
    with open_target(target_url, autocommit=True) as opened:
        advance.install(opened)
        opened.execute("CREATE TABLE public.organizations (slug text PRIMARY KEY)")
        yield opened


def load(connection: psycopg.Connection, tenant: str = "a", *, made_schema: bool = True) -> None:
    """A tenant as a consumer leaves it."""
    schema = f"tenant_{tenant}"
    connection.execute(
        f"""
        CREATE SCHEMA {schema};
        CREATE TABLE {schema}.customers (id int PRIMARY KEY, migrated_at timestamptz);
        CREATE TABLE {schema}.orders (id int PRIMARY KEY, customer int REFERENCES {schema}.customers, migrated_at timestamptz);
        INSERT INTO {schema}.customers VALUES (1, now()), (2, now()), (3, NULL);
        INSERT INTO {schema}.orders VALUES (10, 1, now());
        INSERT INTO public.organizations VALUES ('{tenant}')
        """
    )
    generations.register_tenant(
        connection, tenant=tenant, schema_name=schema, log_id="l", prefix=tenant, made_schema=made_schema
    )
    connection.execute("UPDATE replicator.tenants SET made_organization = true")
    tables = ("customers", "orders")
    catalogue = Catalogue(tables=tuple(Table(name=name) for name in tables))
    generations.note_generation(
        connection,
        tenant,
        generation=1,
        instant=INSTANT,
        is_partial=False,
        catalogue=catalogue.to_json(),
        tables={name: f"{tenant}.{name}" for name in tables},
        migration_digest="d",
    )
    ownership.claim(connection, tenant, {(f"{tenant}.orders", 0): "orders"}, "member")


def exists(connection: psycopg.Connection, name: str) -> bool:
    found = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (name,)).fetchone()
    return found is not None and bool(found[0])


def count(connection: psycopg.Connection, query: str) -> int:
    found = connection.execute(query.encode()).fetchone()
    assert found is not None
    return int(found[0])


def test_rollback_shows_what_goes_and_leaves_nothing_of_the_tenant(connection: psycopg.Connection) -> None:
    load(connection)
    load(connection, "b")

    plan = plan_rollback(connection, migration(), deletes_rows=False)
    roll_back(connection, plan, migration(), lambda _: None)

    shown = "\n".join(plan.lines())
    assert 'drops schema "tenant_a": 2 tables, 4 rows' in shown
    assert "customers  3 rows" in shown
    assert "public.organizations" in shown
    assert not exists(connection, "tenant_a.orders")
    assert count(connection, "SELECT count(*) FROM replicator.tenants WHERE tenant = 'a'") == 0
    assert count(connection, "SELECT count(*) FROM replicator.positions WHERE tenant = 'a'") == 0
    assert count(connection, "SELECT count(*) FROM public.organizations WHERE slug = 'a'") == 0
    assert exists(connection, "tenant_b.orders")
    assert count(connection, "SELECT count(*) FROM replicator.tables WHERE tenant = 'b'") == 2


def test_a_tenant_that_is_not_there_is_named_with_those_that_are(connection: psycopg.Connection) -> None:
    load(connection, "b")

    with pytest.raises(ConfigurationError, match=r'tenant "a" is not in this target \(known: b\)') as refused:
        plan_rollback(connection, migration(), deletes_rows=False)

    assert refused.value.exit_code == 2


def test_a_schema_that_somebody_else_made_is_never_dropped(connection: psycopg.Connection) -> None:
    load(connection, made_schema=False)

    with pytest.raises(Refused, match="made by somebody else") as refused:
        plan_rollback(connection, migration(), deletes_rows=False)
    assert "--delete-rows" in refused.value.hint

    plan = plan_rollback(connection, migration(), deletes_rows=True)
    roll_back(connection, plan, migration(), lambda _: None)

    assert dict(plan.tables) == {"orders": 1, "customers": 2}
    assert connection.execute("SELECT id FROM tenant_a.customers").fetchall() == [(3,)]
    assert count(connection, "SELECT count(*) FROM replicator.tenants") == 0


def test_what_hinders_a_rollback_is_named_and_nothing_is_taken_away(connection: psycopg.Connection) -> None:
    load(connection)
    connection.execute(
        "CREATE TABLE public.members (org text REFERENCES public.organizations); INSERT INTO public.members VALUES ('a')"
    )

    plan = plan_rollback(connection, migration(), deletes_rows=False)
    with pytest.raises(TargetError, match="members"):
        roll_back(connection, plan, migration(), lambda _: None)

    assert exists(connection, "tenant_a.orders")
    assert count(connection, "SELECT count(*) FROM replicator.tenants") == 1
