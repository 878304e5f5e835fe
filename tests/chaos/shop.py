"""The source of a soak: small tables of every shape that order depends on, and how they change.

Waves: region, then customer, then orders, then item. `staff` points at itself, `team` and `player`
at each other; `note` has no key. `region.code` is a numeric key, which may compare equal and differ
(1.10, 1.1). Changes are SQL drawn from a seed: they insert, update, delete, re-key, free and reuse.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

SCHEMA = """
CREATE TABLE region (code numeric PRIMARY KEY, name text NOT NULL);
CREATE TABLE customer (
  id bigint PRIMARY KEY, region_code numeric NOT NULL REFERENCES region ON UPDATE CASCADE ON DELETE CASCADE,
  slot integer NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED,
  email text NOT NULL, api_token text, bio text, rate numeric, joined timestamptz NOT NULL);
CREATE TABLE orders (
  customer_id bigint REFERENCES customer ON UPDATE CASCADE ON DELETE CASCADE, number integer,
  total_cents bigint NOT NULL, remark text, PRIMARY KEY (customer_id, number));
CREATE TABLE item (
  id bigint PRIMARY KEY, customer_id bigint NOT NULL, number integer NOT NULL, sku text NOT NULL, quantity integer,
  FOREIGN KEY (customer_id, number) REFERENCES orders ON UPDATE CASCADE ON DELETE CASCADE);
CREATE TABLE staff (
  id integer PRIMARY KEY, manager_id integer REFERENCES staff ON DELETE SET NULL, title text NOT NULL);
CREATE TABLE team (id integer PRIMARY KEY, captain_id integer, name text NOT NULL);
CREATE TABLE player (
  id integer PRIMARY KEY, team_id integer REFERENCES team DEFERRABLE INITIALLY DEFERRED, nickname text);
ALTER TABLE team ADD FOREIGN KEY (captain_id) REFERENCES player DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE note (at timestamptz, line text);
"""

MIGRATION = """tenant = "{tenant}"
tables = "*"
[batch]
max_rows = {max_rows}
[table.customer]
encrypt = ["email", "api_token"]
sums = ["slot"]
[table.orders]
sums = ["total_cents"]
[table.item]
partitions = 4
[table.player.keep]
nickname = "a made-up name"
"""
ENCRYPTED = (("customer", "email"), ("customer", "api_token"))


@dataclass(frozen=True, slots=True)
class Watched:
    """A table as the observer reads it: text expressions of its key, and of each key of a parent of an earlier wave."""

    name: str
    key: tuple[str, ...] = ()
    parents: dict[str, tuple[str, ...]] = field(default_factory=dict)


# trim_scale: the key's value, however it is written
TABLES = (
    Watched("region", ("trim_scale(code)",)),
    Watched("customer", ("id",), {"region": ("trim_scale(region_code)",)}),
    Watched("orders", ("customer_id", "number"), {"customer": ("customer_id",)}),
    Watched("item", ("id",), {"orders": ("customer_id", "number")}),
    Watched("staff", ("id",)),
    Watched("team", ("id",)),
    Watched("player", ("id",)),
    Watched("note"),
)


def filling(scale: float = 1.0) -> str:
    """SQL that fills the tables: some thousand rows in all."""
    customers, staff, players, notes = (int(scale * rows) for rows in (2500, 1200, 600, 1200))
    return f"""
INSERT INTO region SELECT g + 0.10, 'region ' || g FROM generate_series(1, 40) g;
INSERT INTO customer SELECT g, g % 40 + 1.10, g, 'c' || g || '@shop.example', md5('token' || g),
  repeat('bio of ' || g || ' ', 1 + g % 7), (g % 90) / 7.0, '2020-01-01'::timestamptz + g * interval '1 minute'
  FROM generate_series(1, {customers}) g;
INSERT INTO orders SELECT c, n, c * 100 + n, CASE WHEN c % 3 = 0 THEN 'remark ' || md5(c::text) END
  FROM generate_series(1, {customers}) c, generate_series(1, 2) n WHERE (c + n) % 4 > 0;
INSERT INTO item SELECT row_number() OVER (ORDER BY customer_id, number, s), customer_id, number, 'sku-' || s, s
  FROM orders, generate_series(1, 2) s WHERE (customer_id + s) % 3 > 0;
INSERT INTO staff SELECT g, nullif((g * 7) % {staff}, 0), 'title ' || g FROM generate_series(1, {staff} - 1) g;
INSERT INTO team SELECT g, g, 'team ' || g FROM generate_series(1, 50) g;
INSERT INTO player SELECT g, g % 50 + 1, 'nick ' || g FROM generate_series(1, {players}) g;
INSERT INTO note SELECT '2021-01-01'::timestamptz + g * interval '1 second', 'line ' || g % 400
  FROM generate_series(1, {notes}) g;
"""


def change(seed: int) -> str:
    """One transaction of changes, drawn from a seed: one to three kinds of it."""
    dice = random.Random(seed)
    return ";\n".join(dice.choice(_KINDS)(dice) for _ in range(dice.randint(1, 3)))


def ghosts(seed: int) -> str:
    """Rows that are never committed: nobody may ever see their keys."""
    first = 50_000_000 + seed % 1_000_000
    return (
        f"INSERT INTO staff SELECT g, NULL, 'ghost' FROM generate_series({first}, {first} + 20) g;"
        f"INSERT INTO region VALUES ({first}, 'ghost')"
    )


def _insert(dice: random.Random) -> str:
    first = dice.randrange(10_000, 9_000_000)
    return f"""
INSERT INTO customer SELECT g, (SELECT min(code) FROM region), g, 'new' || g || '@shop.example', NULL, 'new', 1.10, now()
  FROM generate_series({first}, {first + 30}) g ON CONFLICT (id) DO NOTHING;
INSERT INTO orders SELECT id, 1, 5, NULL FROM customer WHERE id BETWEEN {first} AND {first + 30} ON CONFLICT DO NOTHING;
INSERT INTO item SELECT {first}::bigint * 1000 + (id - {first}) * 10 + s, id, 1, 'new', s
  FROM customer, generate_series(1, 6) s WHERE id BETWEEN {first} AND {first + 30} ON CONFLICT DO NOTHING"""


def _update(dice: random.Random) -> str:
    modulus, rest = dice.randint(5, 40), dice.randrange(5)
    return f"""
UPDATE customer SET email = 'changed' || id || '@shop.example', bio = md5(bio) WHERE id % {modulus} = {rest};
UPDATE item SET quantity = quantity + 1 WHERE id % {modulus} = {rest};
UPDATE orders SET total_cents = total_cents + 1 WHERE customer_id % {modulus} = {rest}"""


def _delete(dice: random.Random) -> str:
    return f"DELETE FROM customer WHERE id % 61 = {dice.randrange(61)}; DELETE FROM item WHERE id % 53 = {dice.randrange(53)}"


def _rekey(dice: random.Random) -> str:
    """Keys freed by some customers are taken by others in the same transaction."""
    offset = dice.randrange(10_000_000, 90_000_000)
    return f"""
UPDATE customer SET id = id + {offset} WHERE id % 67 = {dice.randrange(67)} AND id < 9000000;
DELETE FROM item WHERE id % 71 = {dice.randrange(71)};
INSERT INTO customer SELECT id - {offset}, region_code, slot + 100000000 + {offset}, 'again@shop.example', 'again', NULL, -0.0, now()
  FROM customer WHERE id >= {offset} AND id < {offset} + 9000000 LIMIT 20 ON CONFLICT (id) DO NOTHING"""


def _swap(dice: random.Random) -> str:
    """Unique values change hands; numbers change only in how they are written."""
    step = dice.randint(3, 30)
    return f"""
WITH pair AS (SELECT id, slot, lead(slot, 1, slot) OVER w AS next, lag(slot, 1) OVER w AS former, row_number() OVER w AS n,
              count(*) OVER () AS all_rows
              FROM customer WHERE id % {step} = 1 WINDOW w AS (ORDER BY id))
UPDATE customer c SET slot = CASE WHEN n % 2 = 1 THEN next ELSE former END FROM pair WHERE pair.id = c.id AND NOT (n = all_rows AND n % 2 = 1);
UPDATE region SET code = CASE WHEN scale(code) > 1 THEN trim_scale(code) ELSE code + 0.00 END WHERE floor(code) % {step} = 0;
UPDATE customer SET rate = CASE WHEN rate IS NULL THEN -0.0 WHEN rate = 1.1 THEN 1.100 ELSE 1.1 END WHERE id % {step} = 2"""


def _ring(dice: random.Random) -> str:
    first = dice.randrange(1_000, 900_000)
    return f"""
UPDATE staff SET manager_id = (SELECT max(id) FROM staff) WHERE id % 37 = {dice.randrange(37)};
INSERT INTO staff VALUES ({first}, {first}, 'own manager') ON CONFLICT DO NOTHING;
INSERT INTO team VALUES ({first}, {first}, 'new') ON CONFLICT DO NOTHING;
INSERT INTO player VALUES ({first}, {first}, NULL) ON CONFLICT DO NOTHING;
UPDATE team t SET captain_id = (SELECT max(p.id) FROM player p WHERE p.team_id = t.id) WHERE id % 5 = {dice.randrange(5)}"""


def _note(dice: random.Random) -> str:
    return f"""
DELETE FROM note WHERE extract(second FROM at)::int % 30 = {dice.randrange(30)};
INSERT INTO note SELECT NULL, 'the same line' FROM generate_series(1, {dice.randint(1, 60)});
UPDATE note SET line = line || '!' WHERE line = 'line {dice.randrange(400)}'"""


def _new_region(dice: random.Random) -> str:
    code = dice.randrange(100, 100_000)
    return f"""
INSERT INTO region VALUES ({code}.50, 'new') ON CONFLICT DO NOTHING;
UPDATE customer SET region_code = {code}.5 WHERE id % 43 = {dice.randrange(43)};
DELETE FROM region r WHERE NOT EXISTS (SELECT FROM customer c WHERE c.region_code = r.code)"""


_KINDS = (_insert, _update, _delete, _rekey, _swap, _ring, _note, _new_region)
