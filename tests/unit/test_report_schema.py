"""The report's schema says what the code means, is told whole, and refuses what may never be said."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ExitCode
from schemas.repair import RowKind
from tests.conftest import ROOT
from tests.report_schema import checked, checked_recheck
from validator.commands_repair import as_plain
from validator.fail_on import Failure
from validator.recheck import Rechecked, Still
from validator.report import Load, Report, TableLoad, schema_text
from validator.verdict import TABLE_LAYERS, WHOLE, Difference, Finding, Kind, Layer, Request, Sample, judge

SCHEMA = json.loads(schema_text())
NOW = "2026-01-02T03:04:05.000006Z"
ALL = Request(layers=tuple(Layer), tables=("orders",), all_tables=("orders",))
COUNTS = st.integers(0, 5)
FINDINGS = st.builds(
    Finding,
    layer=st.just(Layer.CHECKSUMS),
    table=st.just("orders"),
    looked_at=COUNTS,
    there=COUNTS,
    unknown=st.sampled_from([(), ("why",)]),
    notes=st.sampled_from([(), ("what",)]),
    differences=st.lists(
        st.builds(
            Difference, layer=st.just(Layer.CHECKSUMS), table=st.just("orders"), kind=st.sampled_from(list(Kind))
        ),
        max_size=2,
    ).map(tuple),
    different=COUNTS,
    sample=st.none() | st.builds(Sample, rows=COUNTS, population=COUNTS, seed=st.integers()),
    changed=COUNTS,
)
STILLS = st.lists(
    st.builds(
        Still,
        table=st.just("orders"),
        key=st.just("00ff"),
        planned=st.sampled_from(RowKind),
        kind=st.sampled_from(list(Kind)),
        detail=st.just("cells differ"),
    ),
    max_size=2,
).map(tuple)


def report_of(findings: list[Finding], *, complete: bool = True) -> dict[str, Any]:
    return Report(
        tenant="shop",
        schema="tenant_shop",
        migration="shop.toml",
        migration_digest="00",
        program_version="test",
        complete=complete,
        started_at=NOW,
        ended_at=NOW,
        seconds=0.1,
        source=None,
        target=None,
        load=Load(),
        tables=(TableLoad(name="orders"),),
        request=ALL,
        fail_on=("any",),
        sample=None,
        seed=1,
        jobs=2,
        findings=tuple(findings),
        judgement=judge(findings, ALL, interrupted=not complete),
    ).to_json()


@given(st.none() | FINDINGS, st.booleans())
def test_every_report_that_findings_lead_to_keeps_the_schema(finding: Finding | None, complete: bool) -> None:
    places = sorted(ALL.expected() - {(Layer.CHECKSUMS, "orders")})
    others = [Finding(layer=layer, table=table) for layer, table in places]

    checked(report_of([*others, finding] if finding else [], complete=complete))


@given(STILLS, STILLS, st.sampled_from([(), ("orders",)]), st.sampled_from([(), ("why",)]), COUNTS)
def test_every_recheck_of_a_plan_keeps_the_schema(
    different: tuple[Still, ...],
    changed: tuple[Still, ...],
    tables: tuple[str, ...],
    unknown: tuple[str, ...],
    rows: int,
) -> None:
    found = Rechecked(rows=rows, tables=tables, different=different, changed=changed, unknown=unknown)

    assert checked_recheck(as_plain(found))["exit_code"] in (
        ExitCode.DIFFERENT,
        ExitCode.INCONCLUSIVE,
        ExitCode.REPAIRED,
    )


@pytest.mark.parametrize(
    "lie",
    [
        {"verdict": "equal"},
        {"exit_code": 0},
        {"exit_code": 4},
        {"verdict": "unknown"},
        {"version": 1},
        {"differences_total": -1},
        {"started_at": "2026-01-02 03:04:05"},
        {"more": "than the schema tells of"},
    ],
    ids=str,
)
def test_what_a_report_that_did_not_complete_may_never_say_is_refused(lie: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        checked({**report_of([], complete=False), **lie})


def test_names_in_the_schema_are_those_of_the_code() -> None:
    defs = SCHEMA["$defs"]

    assert defs["layerName"]["enum"] == [layer.value for layer in Layer]
    assert defs["kind"]["enum"] == [kind.value for kind in Kind]
    assert SCHEMA["properties"]["request"]["properties"]["fail_on"]["items"]["enum"] == list(Failure)
    assert defs["table"]["properties"]["layers"]["required"] == [layer.value for layer in TABLE_LAYERS]
    assert set(SCHEMA["properties"]["whole"]["properties"]) == {layer.value for layer in WHOLE}


def test_every_field_is_explained_in_the_schema_and_stands_in_the_document() -> None:
    document = (ROOT / "docs" / "reconcile.md").read_text()

    def fields(part: Any) -> Iterator[tuple[str, Any]]:
        for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            yield from fields(value)
        if isinstance(part, dict) and part.get("type") == "object":
            yield from part.get("properties", {}).items()

    named = dict.fromkeys(name for name, _ in fields({**SCHEMA, "allOf": []}))
    assert [name for name in named if f"`{name}`" not in document] == []
    meant = SCHEMA["$defs"]
    silent = [
        name
        for name, field in fields({**SCHEMA, "allOf": []})
        if not {"description", "const", "oneOf"} & field.keys()
        and not ("$ref" in field and {"description", "enum"} & meant[field["$ref"].rpartition("/")[2]].keys())
        and field.get("type") != "object"
    ]
    assert silent == []
