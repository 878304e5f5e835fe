from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro import control_topic, field_names, table_of_topic, topic_name
from schemas.catalogue import Column
from schemas.errors import ConfigurationError
from schemas.pgtypes import Wire, select_expression, text_expression, wire
from schemas.sql import quote_ident, quote_literal

names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
awkward = names | st.text("ab_-. 1é", min_size=1, max_size=4)


@given(st.lists(awkward, unique=True, max_size=20))
def test_avro_names_are_valid_and_tell_columns_apart(columns: list[str]) -> None:
    fields = field_names(columns)

    assert len(set(fields)) == len(columns)
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", field) for field in fields)
    assert all(
        field == name
        for field, name in zip(fields, columns, strict=True)
        if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII)
    )


@given(awkward)
def test_a_topic_leads_back_to_its_table(table: str) -> None:
    topic = topic_name("rawdog", table)

    assert re.fullmatch(r"[A-Za-z0-9._-]{1,249}", topic)
    assert table_of_topic("rawdog", topic) == table
    assert table_of_topic("raw", topic) is None
    assert topic != control_topic("rawdog")


@given(awkward, awkward)
def test_two_tables_never_share_a_topic_nor_its_metric_name(one: str, other: str) -> None:
    metric = {topic_name("rawdog", table).replace(".", "_") for table in (one, other)}  # Kafka compares so

    assert (len(metric) == 1) == (one == other)


@pytest.mark.parametrize(
    "topic", ["rawdog.-control", "rawdog.a.b", "rawdog.-2", "rawdog.-ff", "rawdog.-61", "rawdog", "rawdog."]
)
def test_topics_of_others_are_no_tables(topic: str) -> None:
    assert table_of_topic("rawdog", topic) is None


def test_a_topic_name_too_long_for_kafka_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="Kafka takes 249"):
        topic_name("p" * 100, "é" * 31)


@pytest.mark.parametrize(
    "type_", ["numeric(10,2)", "integer[]", "timestamp with time zone", "public.mood", "oid", "xml"]
)
def test_what_avro_cannot_hold_exactly_travels_as_text(type_: str) -> None:
    assert wire(type_) is Wire.STRING


@pytest.mark.parametrize(
    ("type_", "select", "text"),
    [
        ("boolean", 't."c"::text', 't."c"::text'),
        ("xml", 't."c"::text', 't."c"::text'),
        ("character(3)", 't."c"', 'textin(bpcharout(t."c"))'),
        ("inet", 't."c"', 'CASE WHEN pg_catalog.num_nonnulls(t."c") = 1 THEN pg_catalog.format(\'%s\', t."c") END'),
        ("character varying(10)", 't."c"', 't."c"::text'),
        ("text[]", 't."c"', 'CASE WHEN pg_catalog.num_nonnulls(t."c") = 1 THEN pg_catalog.format(\'%s\', t."c") END'),
    ],
)
def test_each_type_has_one_form(type_: str, select: str, text: str) -> None:
    column = Column(name="c", type=type_)

    assert select_expression(column) == select
    assert text_expression(column) == text


def test_names_and_literals_are_always_quoted() -> None:
    assert quote_ident('a"; DROP TABLE x; --') == '"a""; DROP TABLE x; --"'
    assert quote_literal("a'b") == "'a''b'"
    with pytest.raises(ValueError, match="NUL"):
        quote_literal("\0")
