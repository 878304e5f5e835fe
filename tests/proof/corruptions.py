"""The kinds of corruption: what each does to the target of an equal pair, and what the report must then say.

Each is done at a place drawn from a seed, and tells by `Found` which findings name it: layer, table,
kind, columns and the digests of the rows. The list follows what famous verifiers have called "identical".
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.proof.pair import Pair

Act = Callable[[Pair, random.Random], "Sequence[Found]"]

MISMATCH = "value_mismatch"
MISSING = "missing_in_target"
EXTRA = "extra_in_target"
BROKEN = "undecryptable"


@dataclass(frozen=True, slots=True)
class Found:
    """A finding that names the corruption. `says` is part of its detail."""

    layer: str
    table: str
    kind: str
    columns: tuple[str, ...] = ()
    key: str = ""
    says: str = ""


@dataclass(frozen=True, slots=True)
class Corruption:
    """One kind. `in_cells` kinds are seen by decrypting alone: a sample may miss them."""

    name: str
    act: Act
    in_cells: bool = False


KINDS: list[Corruption] = []


def kind(name: str, *, in_cells: bool = False) -> Callable[[Act], Act]:
    """Enter a kind into the list."""

    def enter(act: Act) -> Act:
        KINDS.append(Corruption(name, act, in_cells))
        return act

    return enter


def one(pair: Pair, chance: random.Random, where: str = "true", table: str = "customers", key: str = "id") -> str:
    """The key of a row drawn among those that `where` holds for."""
    rows = pair.run(f"SELECT {key} FROM {table} WHERE {where} ORDER BY {key}")
    return str(chance.choice(rows)[0])


# ---------------------------------------------------------------- a value of a row, seen by the checksums

LONG = "name IS NOT NULL AND name <> ''"
VALUES: list[tuple[str, str, str, str]] = [  # kind, SQL of the change, rows that it may befall, columns that differ
    ("a value that is another", "address = 'Elsewhere'", "true", "address"),
    ("NULL became an empty text", "name = ''", "name IS NULL", "name"),
    ("NULL became the text NULL", "name = 'NULL'", "name IS NULL", "name"),
    ("an empty text became NULL", "name = NULL", "name = ''", "name"),
    ("a value became NULL", "born = NULL", "true", "born"),
    ("1.0 became 1.00", "price = (price::text || '0')::numeric", "true", "price"),
    ("a number became NaN", "price = 'NaN'", "true", "price"),
    ("a number became infinite", "price = 'Infinity'", "true", "price"),
    ("0 became -0", "rate = '-0'", "true", "rate"),
    ("the last bit of a float", "small = small * 1.0000001::real", "small > 5", "small"),
    ("a shift by a time zone", "seen = seen + interval '1 hour'", "true", "seen"),
    ("a microsecond", "seen = seen + interval '1 microsecond'", "true", "seen"),
    ("a microsecond of a local time", "local = local - interval '1 microsecond'", "true", "local"),
    ("a date became infinite", "born = 'infinity'", "true", "born"),
    ("one day became 24 hours", "lasted = lasted - interval '1 day' + interval '24 hours'", "true", "lasted"),
    ("a trailing space", "address = address || ' '", "true", "address"),
    ("a line end", "address = replace(address, E'\\n', E'\\r\\n')", "true", "address"),
    ("a mark of byte order", "address = U&'\\FEFF' || address", "true", "address"),
    ("another normal form", "name = replace(name, 'Ä', U&'A\\0308')", LONG, "name"),
    ("the case of a letter", "address = lower(address)", "true", "address"),
    ("a quote became curly", "name = replace(name, '\"', '”')", LONG, "name"),
    ("a backslash doubled", "name = replace(name, '\\', '\\\\')", LONG, "name"),
    ("two columns swapped", "left_side = right_side, right_side = left_side", "true", "left_side right_side"),
    (
        "a character moved over a column's border",
        "left_side = left_side || left(right_side, 1), right_side = substr(right_side, 2)",
        "true",
        "left_side right_side",
    ),
    ("a flag turned", "active = NOT active", "true", "active"),
    ("another label of an enum", "kind = CASE kind WHEN 'open' THEN 'paid'::state ELSE 'open' END", "true", "kind"),
    ("1 became 1.0 in jsonb", "document = jsonb_set(document, '{n}', (id || '.0')::jsonb)", "true", "document"),
    ("a space in json", "raw = (raw::text || ' ')::json", "true", "raw"),
    ("NULL became the text NULL in an array", "tags = ARRAY['a', 'NULL', tags[3]]", "true", "tags"),
    ("the bounds of an array", "tags = ('[0:2]=' || tags::text)::text[]", "true", "tags"),
    ("the length of a bit string", "flags = substring(flags for 7)", "true", "flags"),
    ("a bit of a binary", "pixels = set_bit(pixels, 7, 1 - get_bit(pixels, 7))", "true", "pixels"),
    ("the mask of an address", "net = set_masklen(net, 24)", "true", "net"),
    ("another parent", "parent_id = id", "true", "parent_id"),
]


def _value(change: str, where: str, columns: str) -> Act:
    def act(pair: Pair, chance: random.Random) -> Sequence[Found]:
        key = one(pair, chance, where)
        pair.run(f"UPDATE customers SET {change} WHERE id = {key}")
        return [Found("checksums", "customers", MISMATCH, tuple(columns.split()), pair.digest(key))]

    return act


for _name, _change, _where, _columns in VALUES:
    kind(_name)(_value(_change, _where, _columns))


@kind("the first row")
def _first(pair: Pair, _: random.Random) -> Sequence[Found]:
    ((key,),) = pair.run("UPDATE customers SET address = '' WHERE id = (SELECT min(id) FROM customers) RETURNING id")
    return [Found("checksums", "customers", MISMATCH, ("address",), pair.digest(key))]


@kind("the last row")
def _last(pair: Pair, _: random.Random) -> Sequence[Found]:
    ((key,),) = pair.run("UPDATE customers SET address = '' WHERE id = (SELECT max(id) FROM customers) RETURNING id")
    return [Found("checksums", "customers", MISMATCH, ("address",), pair.digest(key))]


@kind("one cent")
def _cent(pair: Pair, chance: random.Random) -> Sequence[Found]:
    number = one(pair, chance, table="orders", key="number")
    ((customer,),) = pair.run("UPDATE orders SET cents = cents + 1 WHERE number = %s RETURNING customer_id", number)
    return [
        Found("checksums", "orders", MISMATCH, ("cents",), pair.digest(customer, number)),
        Found("sums", "orders", "sum", ("cents",)),
    ]


@kind("an offsetting pair of cents")
def _offset(pair: Pair, chance: random.Random) -> Sequence[Found]:
    rows = chance.sample(pair.run("SELECT customer_id, number FROM orders ORDER BY number"), 2)
    for cents, row in zip((5, -5), rows, strict=True):
        pair.run("UPDATE orders SET cents = cents + %s WHERE (customer_id, number) = (%s, %s)", cents, *row)
    return [Found("checksums", "orders", MISMATCH, ("cents",), pair.digest(*row)) for row in rows]


@kind("a transformed value off by one")
def _transformed(pair: Pair, chance: random.Random) -> Sequence[Found]:
    number = one(pair, chance, table="orders", key="number")
    ((customer,),) = pair.run("UPDATE orders SET gross = gross - 1 WHERE number = %s RETURNING customer_id", number)
    return [Found("checksums", "orders", MISMATCH, ("gross",), pair.digest(customer, number))]


@kind("an added constant that is another")
def _added(pair: Pair, chance: random.Random) -> Sequence[Found]:
    number = one(pair, chance, table="orders", key="number")
    ((key,),) = pair.run("UPDATE orders SET tenant_id = 'other' WHERE number = %s RETURNING customer_id", number)
    return [Found("checksums", "orders", MISMATCH, ("tenant_id",), pair.digest(key, number))]


@kind("two rows swapped")
def _swapped_rows(pair: Pair, chance: random.Random) -> Sequence[Found]:
    keys = [row[0] for row in chance.sample(pair.run("SELECT id FROM customers ORDER BY id"), 2)]
    pair.run(
        "UPDATE customers a SET address = b.address, left_side = b.left_side FROM customers b"
        " WHERE a.id = ANY(%s) AND b.id = ANY(%s) AND a.id <> b.id",
        keys,
        keys,
    )
    return [Found("checksums", "customers", MISMATCH, ("address", "left_side"), pair.digest(key)) for key in keys]


# ---------------------------------------------------------------- rows too few and too many


@kind("a row deleted")
def _deleted(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = one(pair, chance)
    pair.run(f"DELETE FROM customers WHERE id = {key}")
    return [
        Found("checksums", "customers", MISSING, (), pair.digest(key)),
        Found("cells", "customers", MISSING, (), pair.digest(key)),
        Found("counts", "customers", "count"),
        Found("foreign-keys", "orders", "orphan_lost_parent", ("customer_id",), pair.digest(key)),
    ]


@kind("all rows deleted")
def _all_deleted(pair: Pair, _: random.Random) -> Sequence[Found]:
    pair.run("DELETE FROM touches")
    return [Found("counts", "touches", "count"), Found("checksums", "touches", MISSING)]


INSERT = (
    "INSERT INTO orders (customer_id, number, cents, placed, tenant_id, migrated_at)"
    " SELECT {customer}, {number}, cents, placed, tenant_id, migrated_at FROM orders LIMIT 1"
)


@kind("a row inserted")
def _inserted(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = one(pair, chance)
    pair.run(INSERT.format(customer=key, number="'9-9'"))
    return [
        Found("checksums", "orders", EXTRA, (), pair.digest(key, "9-9")),
        Found("counts", "orders", "count"),
    ]


@kind("a row before the first key")
def _before(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = -chance.randrange(1, 10**9)
    pair.run(INSERT.format(customer=key, number="''"))
    return [Found("checksums", "orders", EXTRA, (), pair.digest(key, ""))]


@kind("a row behind the last key")
def _behind(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = chance.randrange(10**9, 2**62)
    pair.run(INSERT.format(customer=key, number="'x'"))
    return [Found("checksums", "orders", EXTRA, (), pair.digest(key, "x"))]


@kind("a row in an empty table")
def _unparked(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = f"00000000-0000-4000-8000-{chance.randrange(10**11, 10**12)}"
    pair.run("INSERT INTO parked VALUES (%s, 'what', (SELECT min(migrated_at) FROM customers))", key)
    return [Found("checksums", "parked", EXTRA, (), pair.digest(key)), Found("counts", "parked", "count")]


@kind("a row under another key")
def _rekeyed(pair: Pair, chance: random.Random) -> Sequence[Found]:
    number = one(pair, chance, table="orders", key="number")
    ((customer,),) = pair.run("UPDATE orders SET number = 'other' WHERE number = %s RETURNING customer_id", number)
    return [
        Found("checksums", "orders", MISSING, (), pair.digest(customer, number)),
        Found("checksums", "orders", EXTRA, (), pair.digest(customer, "other")),
    ]


@kind("a row twice, its key without a constraint")
def _twice(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = one(pair, chance, table="orders", key="number")
    pair.run("ALTER TABLE orders DROP CONSTRAINT orders_pkey")
    pair.run("INSERT INTO orders SELECT * FROM orders WHERE number = %s", key)
    return [
        Found("counts", "orders", "count"),
        Found("checksums", "orders", EXTRA),
        Found("schema", "orders", "schema", says="the primary key is (none)"),
    ]


ANY_TOUCH = "ctid = (SELECT ctid FROM touches ORDER BY ctid OFFSET {} LIMIT 1)"


def touch(chance: random.Random) -> str:
    """A row of the table without a key."""
    return ANY_TOUCH.format(chance.randrange(200))


@kind("a duplicate lost, no key")
def _fewer(pair: Pair, chance: random.Random) -> Sequence[Found]:
    pair.run(f"DELETE FROM touches WHERE {touch(chance)}")
    return [Found("checksums", "touches", MISSING), Found("counts", "touches", "count")]


@kind("a duplicate more, no key")
def _more(pair: Pair, chance: random.Random) -> Sequence[Found]:
    pair.run(f"INSERT INTO touches SELECT * FROM touches WHERE {touch(chance)}")
    return [Found("checksums", "touches", EXTRA), Found("counts", "touches", "count")]


@kind("a duplicate lost and another row doubled, no key")
def _exchanged(pair: Pair, chance: random.Random) -> Sequence[Found]:
    ((lost,), (doubled,)) = pair.run("SELECT url FROM (SELECT DISTINCT url FROM touches) t ORDER BY random() LIMIT 2")
    pair.run("INSERT INTO touches SELECT * FROM touches WHERE url = %s LIMIT 1", doubled)
    pair.run("DELETE FROM touches WHERE ctid = (SELECT ctid FROM touches WHERE url = %s LIMIT 1)", lost)
    return [Found("checksums", "touches", MISSING), Found("checksums", "touches", EXTRA)]


@kind("a value, no key")
def _keyless(pair: Pair, chance: random.Random) -> Sequence[Found]:
    pair.run(f"UPDATE touches SET weight = 0.2 WHERE {touch(chance)}")
    return [Found("checksums", "touches", MISSING), Found("checksums", "touches", EXTRA)]


# ---------------------------------------------------------------- encrypted cells

SEALED = "length(email) > 40"


def _cell(statement: str, where: str = SEALED, columns: str = "email", how: str = BROKEN) -> Act:
    def act(pair: Pair, chance: random.Random) -> Sequence[Found]:
        key = one(pair, chance, where)
        pair.run(f"UPDATE customers SET {statement} WHERE id = {key}")
        return [Found("cells", "customers", how, tuple(columns.split()), pair.digest(key))]

    return act


for _name, _change, _where, _how in (
    ("a bit of a ciphertext", "email = set_bit(email, 200, 1 - get_bit(email, 200))", SEALED, BROKEN),
    ("a bit of the nonce", "email = set_bit(email, 60, 1 - get_bit(email, 60))", SEALED, BROKEN),
    (
        "a bit of the tag",
        "email = set_bit(email, 8 * length(email) - 1, 1 - get_bit(email, 8 * length(email) - 1))",
        SEALED,
        BROKEN,
    ),
    ("a truncated tag", "email = substr(email, 1, length(email) - 1)", SEALED, BROKEN),
    ("a byte behind the tag", "email = email || '\\x00'::bytea", SEALED, BROKEN),
    ("an encrypted cell that became NULL", "email = NULL", "email IS NOT NULL", MISMATCH),
):
    kind(_name, in_cells=_name != "an encrypted cell that became NULL")(_cell(_change, _where, how=_how))


@kind("a wrong key id")
def _wrong_kid(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = one(pair, chance, SEALED)
    pair.run(f"UPDATE customers SET email = overlay(email placing '\\x00000063'::bytea from 3) WHERE id = {key}")
    return [
        Found("cells", "customers", BROKEN, ("email",), pair.digest(key)),
        Found("envelopes", "customers", "envelope", ("email",), says="under a key that the keyring does not have"),
    ]


@kind("ciphertexts swapped between rows", in_cells=True)
def _between_rows(pair: Pair, chance: random.Random) -> Sequence[Found]:
    keys = [row[0] for row in chance.sample(pair.run(f"SELECT id FROM customers WHERE {SEALED} ORDER BY id"), 2)]
    pair.run(
        "UPDATE customers a SET email = b.email FROM customers b"
        " WHERE a.id = ANY(%s) AND b.id = ANY(%s) AND a.id <> b.id",
        keys,
        keys,
    )
    return [Found("cells", "customers", BROKEN, ("email",), pair.digest(key)) for key in keys]


@kind("ciphertexts swapped between columns", in_cells=True)
def _between_columns(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = one(pair, chance, SEALED)
    pair.run(f"UPDATE customers SET email = phone, phone = email WHERE id = {key}")
    return [Found("cells", "customers", BROKEN, ("email", "phone"), pair.digest(key))]


@kind("a ciphertext of another table's cell with the same key", in_cells=True)
def _between_tables(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = one(pair, chance, SEALED)
    pair.run(f"UPDATE customers SET email = %s WHERE id = {key}", pair.encrypted("orders", "email", "x", (key,)))
    return [Found("cells", "customers", BROKEN, ("email",), pair.digest(key))]


@kind("a ciphertext of another tenant", in_cells=True)
def _between_tenants(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = one(pair, chance, SEALED)
    foreign = pair.encrypted("customers", "email", f"u{key}@x.example", (key,), by=pair.stranger)
    pair.run(f"UPDATE customers SET email = %s WHERE id = {key}", foreign)
    return [Found("cells", "customers", BROKEN, ("email",), pair.digest(key))]


@kind("an older ciphertext of the same cell", in_cells=True)
def _older(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = one(pair, chance, SEALED)
    older = pair.encrypted("customers", "email", "was@x.example", (key,))
    pair.run(f"UPDATE customers SET email = %s WHERE id = {key}", older)
    return [Found("cells", "customers", MISMATCH, ("email",), pair.digest(key))]


@kind("an encrypted value with a trailing space", in_cells=True)
def _padded(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = one(pair, chance, SEALED)
    other = pair.encrypted("customers", "email", f"u{key}@x.example ", (key,))
    pair.run(f"UPDATE customers SET email = %s WHERE id = {key}", other)
    return [Found("cells", "customers", MISMATCH, ("email",), pair.digest(key))]


@kind("NULL became an encrypted empty text")
def _sealed_nothing(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = one(pair, chance, "email IS NULL")
    pair.run(f"UPDATE customers SET email = %s WHERE id = {key}", pair.encrypted("customers", "email", "", (key,)))
    return [
        Found("cells", "customers", MISMATCH, ("email",), pair.digest(key)),
        Found("envelopes", "customers", "envelope", ("email",)),
    ]


@kind("plaintext in an encrypted column")
def _plain(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = one(pair, chance, SEALED)
    ((name,),) = pair.run(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'customers'::regclass AND contype = 'c'"
        " AND pg_get_constraintdef(oid) LIKE '%get_byte(email%'"
    )
    pair.run(f'ALTER TABLE customers DROP CONSTRAINT "{name}"')
    pair.run(f"UPDATE customers SET email = 'u{key}@x.example' WHERE id = {key}")
    return [
        Found("cells", "customers", BROKEN, ("email",), pair.digest(key)),
        Found("envelopes", "customers", "envelope", ("email",), says="no envelope"),
        Found("schema", "customers", "schema", ("email",), says="no check keeps plaintext out"),
    ]


@kind("ciphertexts swapped between rows without a key", in_cells=True)
def _keyless_cells(pair: Pair, _: random.Random) -> Sequence[Found]:
    pair.run(
        "UPDATE touches SET ip = (SELECT ip FROM touches WHERE url LIKE '%/1' LIMIT 1)"
        " WHERE ctid = (SELECT ctid FROM touches WHERE url LIKE '%/2' LIMIT 1)"
    )
    return [Found("cells", "touches", MISSING), Found("cells", "touches", EXTRA)]


# ---------------------------------------------------------------- keys between tables


@kind("an orphan")
def _orphan(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = one(pair, chance)
    pair.run(f"UPDATE customers SET parent_id = 7 WHERE id = {key}")
    return [
        Found("foreign-keys", "customers", "orphan_not_at_source", ("parent_id",), pair.digest(7)),
        Found("checksums", "customers", MISMATCH, ("parent_id",), pair.digest(key)),
    ]


@kind("a value twice under a unique constraint that is gone")
def _unique(pair: Pair, chance: random.Random) -> Sequence[Found]:
    first, second = (row[0] for row in chance.sample(pair.run("SELECT id FROM customers ORDER BY id"), 2))
    pair.run("ALTER TABLE customers DROP CONSTRAINT label_once")
    pair.run("DROP INDEX customers_active")
    pair.run(f"UPDATE customers SET label = (SELECT label FROM customers WHERE id = {first}) WHERE id = {second}")
    return [
        Found("schema", "customers", "schema", says='"label_once" is missing'),
        Found("checksums", "customers", MISMATCH, ("label",), pair.digest(second)),
    ]


# ---------------------------------------------------------------- definitions

DEFINITIONS: list[tuple[str, str, str, str, str]] = [  # kind, SQL, table, columns, what the detail says
    (
        "a sequence that is behind",
        "SELECT setval(pg_get_serial_sequence('customers', 'id'), 20)",
        "customers",
        "id",
        "the sequence is behind",
    ),
    ("an index that is missing", "DROP INDEX customers_seen", "customers", "", '"customers_seen" is missing'),
    (
        "an index on other columns",
        "DROP INDEX customers_seen;; CREATE INDEX customers_seen ON customers (born)",
        "customers",
        "",
        '"customers_seen" is missing',
    ),
    (
        "a partial unique index without its condition",
        "DROP INDEX customers_active;; CREATE UNIQUE INDEX customers_active ON customers (label)",
        "customers",
        "",
        '"customers_active" is missing',
    ),
    (
        "an index that is not valid",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'customers_seen'::regclass",
        "customers",
        "",
        "customers_seen",
    ),
    (
        "a default that is gone",
        "ALTER TABLE customers ALTER label DROP DEFAULT",
        "customers",
        "label",
        "the default is missing",
    ),
    (
        "a default that is another",
        "ALTER TABLE customers ALTER label SET DEFAULT 'None'",
        "customers",
        "label",
        "the default differs",
    ),
    ("NOT NULL gone", "ALTER TABLE customers ALTER code DROP NOT NULL", "customers", "code", "is not NOT NULL"),
    ("NOT NULL more", "ALTER TABLE customers ALTER left_side SET NOT NULL", "customers", "left_side", "is NOT NULL"),
    ("a type with another length", "ALTER TABLE orders ALTER number TYPE varchar(13)", "orders", "number", "type is"),
    ("a type with another scale", "ALTER TABLE orders ALTER amount TYPE numeric(13,2)", "orders", "amount", "type is"),
    (
        "another collation",
        'ALTER TABLE customers ALTER name TYPE text COLLATE "POSIX"',
        "customers",
        "name",
        "collation is",
    ),
    ("an identity that is none", "ALTER TABLE customers ALTER id DROP IDENTITY", "customers", "id", "identity is"),
    (
        "an identity that is stricter",
        "ALTER TABLE customers ALTER id SET GENERATED ALWAYS",
        "customers",
        "id",
        "identity is",
    ),
    (
        "a generated column that is plain",
        "ALTER TABLE customers ALTER doubled DROP EXPRESSION",
        "customers",
        "doubled",
        "generated otherwise",
    ),
    (
        "a unique constraint that is missing",
        "ALTER TABLE customers DROP CONSTRAINT label_once",
        "customers",
        "",
        '"label_once" is missing',
    ),
    (
        "a check that is missing",
        "ALTER TABLE customers DROP CONSTRAINT rate_bounded",
        "customers",
        "",
        '"rate_bounded" is missing',
    ),
    (
        "a check that is weaker",
        "ALTER TABLE customers DROP CONSTRAINT rate_bounded, ADD CONSTRAINT rate_bounded CHECK (rate < 1e10)",
        "customers",
        "",
        '"rate_bounded" is missing',
    ),
    (
        "a check that is not validated",
        "ALTER TABLE customers DROP CONSTRAINT rate_bounded, ADD CONSTRAINT rate_bounded CHECK (rate < 1e9) NOT VALID",
        "customers",
        "",
        '"rate_bounded" is not validated',
    ),
    (
        "a foreign key that is missing",
        "ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey",
        "orders",
        "",
        '"orders_customer_id_fkey" is missing',
    ),
    (
        "a foreign key that does something else",
        """ALTER TABLE customers DROP CONSTRAINT customers_parent_id_fkey,
        ADD CONSTRAINT customers_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES customers(id)""",
        "customers",
        "",
        '"customers_parent_id_fkey" is missing',
    ),
    ("a column too many", "ALTER TABLE orders ADD COLUMN surplus int", "orders", "surplus", "neither the source"),
    ("another label of an enum's type", "ALTER TYPE state ADD VALUE 'lost'", "customers", "", '"state" is defined'),
    (
        "an enum's label renamed",
        "ALTER TYPE state RENAME VALUE 'sent' TO 'Sent'",
        "customers",
        "",
        '"state" is defined',
    ),
    ("a table that logs nothing", "ALTER TABLE touches SET UNLOGGED", "touches", "", "unlogged"),
    ("row security in the target", "ALTER TABLE orders ENABLE ROW LEVEL SECURITY", "orders", "", "row security"),
    ("a privilege that is gone", "REVOKE SELECT ON orders FROM proof_reader", "orders", "", "privilege"),
    ("a privilege that is public", "GRANT SELECT ON orders TO PUBLIC", "orders", "", "privilege"),
    ("a sequence in other steps", "ALTER TABLE customers ALTER id SET INCREMENT 5", "customers", "id", "counts"),
    ("a sequence that goes round", "ALTER TABLE customers ALTER id SET CYCLE", "customers", "id", "counts"),
    (
        "a sequence that lost its column and is behind",
        "ALTER SEQUENCE visits_n_seq OWNED BY NONE;; SELECT setval('visits_n_seq', 1)",
        "visits",
        "n",
        "the sequence is behind",
    ),
    (
        "columns in another order",
        """ALTER TABLE customers RENAME left_side TO other;; ALTER TABLE customers RENAME right_side TO left_side;;
        ALTER TABLE customers RENAME other TO right_side;; UPDATE customers SET (left_side, right_side) = (right_side, left_side)""",
        "customers",
        "",
        "another order",
    ),
    ("an added column's type", "ALTER TABLE orders ALTER tenant_id TYPE varchar(30)", "orders", "tenant_id", "type is"),
    (
        "a unique constraint too many",
        "ALTER TABLE customers ADD CONSTRAINT more UNIQUE (code, id)",
        "customers",
        "",
        '"more" is in the target only',
    ),
    (
        "a unique index too many",
        "CREATE UNIQUE INDEX more ON parked (what)",
        "parked",
        "",
        '"more" is in the target only',
    ),
    (
        "a check too many",
        "ALTER TABLE orders ADD CONSTRAINT more CHECK (cents < 10000000)",
        "orders",
        "",
        '"more" is in the target only',
    ),
    (
        "a foreign key too many",
        "ALTER TABLE visits ADD CONSTRAINT more FOREIGN KEY (n) REFERENCES customers(id) NOT VALID",
        "visits",
        "",
        '"more" is in the target only',
    ),
    (
        "a primary key that waits",
        "ALTER TABLE parked DROP CONSTRAINT parked_pkey, ADD PRIMARY KEY (id) DEFERRABLE",
        "parked",
        "",
        "the primary key is",
    ),
    ("a foreign key put to sleep", "ALTER TABLE orders DISABLE TRIGGER ALL", "orders", "", "triggers are disabled"),
    (
        "a guard that lets everything through",
        """ALTER TABLE customers DROP CONSTRAINT email_sealed,
        ADD CONSTRAINT email_sealed CHECK (get_byte(email, 0) = 254 OR true)""",
        "customers",
        "email",
        "no check keeps plaintext out",
    ),
    (
        "a label of an enum within a composite",
        "ALTER TYPE mood RENAME VALUE 'angry' TO 'Angry'",
        "visits",
        "",
        '"mood" is defined',
    ),
    ("a column that is public", "GRANT SELECT (what) ON parked TO PUBLIC", "parked", "", "SELECT of column what"),
    (
        "a sequence nobody may draw from",
        "REVOKE ALL ON SEQUENCE visits_n_seq FROM proof_reader",
        "visits",
        "",
        "USAGE of sequence",
    ),
    (
        "a table that shows the rows of another",
        "CREATE TABLE public.more () INHERITS (parked);; INSERT INTO public.more VALUES (gen_random_uuid(), 'x', now())",
        "parked",
        "",
        "shows the rows of more",
    ),
    (
        "a collation that sorts otherwise",
        """ALTER COLLATION sorted RENAME TO was;; CREATE COLLATION sorted (locale = 'POSIX');;
        ALTER TABLE parts ALTER what TYPE text COLLATE sorted""",
        "parts",
        "",
        'collation "sorted" is defined otherwise',
    ),
    (
        "a partition that is public",
        "GRANT SELECT ON parts_low TO PUBLIC",
        "parts",
        "",
        "SELECT of partition parts_low",
    ),
    (
        "a foreign key put to sleep in a partition",
        "ALTER TABLE parts_rest DISABLE TRIGGER ALL",
        "parts",
        "",
        "triggers are disabled: parts_customer_id_fkey",
    ),
    (
        "a unique constraint whose later look is put to sleep",
        "ALTER TABLE parts DISABLE TRIGGER ALL",
        "parts",
        "",
        "slot_once",
    ),
    (
        "a primary key that the partitions lack",
        """ALTER TABLE parts DROP CONSTRAINT parts_pkey;; ALTER TABLE ONLY parts ADD CONSTRAINT parts_pkey PRIMARY KEY (id)""",
        "parts",
        "",
        'its part "parts_low_pkey" of the index "parts_pkey" is missing',
    ),
    (
        "a shared sequence nobody may draw from",
        "REVOKE ALL ON SEQUENCE shared FROM proof_reader",
        "parts",
        "",
        "USAGE of sequence shared",
    ),
    (
        "a sequence that a crash sets back",
        "ALTER SEQUENCE shared SET UNLOGGED",
        "parts",
        "id",
        "its sequence is unlogged",
    ),
    ("another owner", "ALTER TABLE parked OWNER TO proof_reader", "parked", "", 'is owned by "proof_reader"'),
]


def _definition(script: str, table: str, columns: str, says: str) -> Act:
    def act(pair: Pair, _: random.Random) -> Sequence[Found]:
        for statement in script.split(";; "):
            pair.run(statement)
        return [Found("schema", table, "schema", tuple(columns.split()), says=says)]

    return act


for _name, _script, _table, _columns, _says in DEFINITIONS:
    kind(_name)(_definition(_script, _table, _columns, _says))


@kind("a foreign key that is not validated")
def _not_validated(pair: Pair, _: random.Random) -> Sequence[Found]:
    name = "orders_customer_id_fkey"
    pair.run(
        f"ALTER TABLE orders DROP CONSTRAINT {name},"
        f" ADD CONSTRAINT {name} FOREIGN KEY (customer_id) REFERENCES customers(id) NOT VALID"
    )
    return [Found("schema", "orders", "not_validated", says=name)]


@kind("a column that is missing")
def _no_column(pair: Pair, _: random.Random) -> Sequence[Found]:
    pair.run("ALTER TABLE customers DROP COLUMN address")
    return [Found("schema", "customers", "schema", ("address",), says="the column is missing")]


@kind("a table that is missing")
def _no_table(pair: Pair, _: random.Random) -> Sequence[Found]:
    pair.run("DROP TABLE parked")
    return [Found("schema", "parked", "schema", says="the table is missing")]


# ---------------------------------------------------------------- what is not a table of the tenant


@kind("a token of the organization")
def _token(pair: Pair, chance: random.Random) -> Sequence[Found]:
    bit = 8 * chance.randrange(18, 24)
    pair.run(f"UPDATE organizations SET access_token = set_bit(access_token, {bit}, 1 - get_bit(access_token, {bit}))")
    return [Found("organization", "public.organizations", "organization", ("access_token",))]


@kind("a value of the organization")
def _name_of_organization(pair: Pair, _: random.Random) -> Sequence[Found]:
    pair.run("UPDATE organizations SET name = 'The Shop '")
    return [Found("organization", "public.organizations", "organization", ("name",))]


@kind("an organization that is gone")
def _no_organization(pair: Pair, _: random.Random) -> Sequence[Found]:
    pair.run("DELETE FROM organizations")
    return [Found("organization", "public.organizations", "organization")]


@kind("a count of progress that does not add up")
def _progress(pair: Pair, _: random.Random) -> Sequence[Found]:
    pair.run("UPDATE replicator.tables SET applied = applied - 1 WHERE table_name = 'orders'")
    return [Found("published", "orders", "count")]


@kind("an instant that no generation has")
def _instant(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = one(pair, chance)
    pair.run(f"UPDATE customers SET migrated_at = migrated_at + interval '10 years' WHERE id = {key}")
    return [Found("published", "customers", MISMATCH, ("migrated_at",), pair.digest(key))]


@kind("an instant between those of the loads")
def _instant_between(pair: Pair, chance: random.Random) -> Sequence[Found]:
    key = one(pair, chance)
    pair.run(f"UPDATE customers SET migrated_at = migrated_at - interval '1 microsecond' WHERE id = {key}")
    return [Found("published", "customers", MISMATCH, ("migrated_at",), pair.digest(key))]


@kind("quarantine that was emptied by hand")
def _emptied(pair: Pair, _: random.Random) -> Sequence[Found]:
    pair.run("UPDATE replicator.tables SET applied = applied - 1, quarantined = 1 WHERE table_name = 'orders'")
    return [Found("published", "orders", "count", says="1 were quarantined, but 0 stand there")]
