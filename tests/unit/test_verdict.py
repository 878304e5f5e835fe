"""Equal is only said of what was looked at, whole."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ExitCode
from validator.verdict import (
    TABLE_LAYERS,
    Difference,
    Finding,
    Kind,
    Layer,
    Request,
    Sample,
    Verdict,
    judge,
    share,
    worst,
)

TABLES = ("customers", "orders")
ALL = Request(layers=tuple(Layer), tables=TABLES, all_tables=TABLES)


def equal_findings(request: Request) -> list[Finding]:
    return [Finding(layer=layer, table=table, looked_at=7, there=7) for layer, table in sorted(request.expected())]


def test_every_finding_equal_and_nothing_left_out_is_equal() -> None:
    judgement = judge(equal_findings(ALL), ALL)

    assert (judgement.verdict, judgement.exit_code) == (Verdict.EQUAL, ExitCode.DONE)
    assert judgement.sentence.startswith("Equal: 2 tables, 14 rows, in 11 layers.")


@given(st.sampled_from(sorted(ALL.expected())))
def test_a_finding_that_never_came_is_never_equal(lost: tuple[Layer, str]) -> None:
    findings = [finding for finding in equal_findings(ALL) if (finding.layer, finding.table) != lost]

    assert judge(findings, ALL).exit_code is ExitCode.INCONCLUSIVE


@given(st.sampled_from(sorted(ALL.expected())), st.integers(min_value=0, max_value=6))
def test_looking_at_less_than_there_is_is_never_equal(short: tuple[Layer, str], looked_at: int) -> None:
    findings = [
        Finding(layer=f.layer, table=f.table, looked_at=looked_at, there=7) if (f.layer, f.table) == short else f
        for f in equal_findings(ALL)
    ]

    assert judge(findings, ALL).verdict is Verdict.INCONCLUSIVE


@given(st.sampled_from(sorted(ALL.expected())))
def test_one_difference_makes_all_different_even_when_others_are_unknown(place: tuple[Layer, str]) -> None:
    layer, table = place
    bad = Finding(layer=layer, table=table, different=1, unknown=("and something unknown",))
    others = [f for f in equal_findings(ALL) if (f.layer, f.table) != place]
    unsure = [Finding(layer=f.layer, table=f.table, unknown=("why not",)) for f in others]

    assert judge([bad, *unsure], ALL).exit_code is ExitCode.DIFFERENT


def test_an_interrupted_run_is_never_equal() -> None:
    assert judge(equal_findings(ALL), ALL, interrupted=True).exit_code is ExitCode.INCONCLUSIVE


def test_no_finding_at_all_is_never_equal() -> None:
    assert judge([], Request(layers=(), tables=(), all_tables=())).verdict is Verdict.INCONCLUSIVE


def test_a_partial_run_says_what_it_did_not_look_at() -> None:
    request = Request(layers=(Layer.GENERATION, Layer.COUNTS), tables=("orders",), all_tables=TABLES)

    judgement = judge(equal_findings(request), request)

    assert judgement.exit_code is ExitCode.DONE
    assert judgement.sentence.startswith("Equal in what was looked at")
    assert "tables customers" in judgement.sentence
    assert "checksums" in judgement.sentence


def test_a_sample_is_equal_with_its_bound_said() -> None:
    findings = [
        Finding(
            layer=f.layer, table=f.table, looked_at=299, there=10**6, sample=Sample(rows=299, population=10**6, seed=1)
        )
        if f.layer is Layer.CELLS
        else f
        for f in equal_findings(ALL)
    ]

    judgement = judge(findings, ALL)

    assert judgement.verdict is Verdict.EQUAL
    assert "sampled" in judgement.sentence
    assert "fewer than 1 %" in judgement.sentence


def test_random_rows_alone_are_not_said_to_be_all_rows() -> None:
    drawn = Sample(rows=299, population=10**6, seed=1)
    for layers, says in (((Layer.GENERATION, Layer.ROWS), True), (tuple(Layer), False)):
        request = replace(ALL, layers=layers)
        findings = [
            replace(f, looked_at=299, there=10**6, sample=drawn) if f.layer is Layer.ROWS else f
            for f in equal_findings(request)
        ]

        judgement = judge(findings, request)

        assert judgement.verdict is Verdict.EQUAL
        assert ("fewer than 1 % of a table's rows differ" in judgement.sentence) == says


def test_a_sample_of_nothing_from_something_is_inconclusive() -> None:
    finding = Finding(layer=Layer.CELLS, table="orders", sample=Sample(rows=0, population=5, seed=1))

    assert finding.verdict is Verdict.INCONCLUSIVE


def test_listing_fewer_differences_than_there_are_keeps_the_true_number() -> None:
    difference = Difference(layer=Layer.CHECKSUMS, table="orders", kind=Kind.VALUE_MISMATCH)

    assert Finding(layer=Layer.CHECKSUMS, table="orders", differences=(difference,), different=5000).total == 5000


def test_open_quarantine_leads_to_the_quarantine() -> None:
    row = Difference(layer=Layer.GENERATION, table="orders", kind=Kind.QUARANTINED, key="00ff")
    bad = Finding(layer=Layer.GENERATION, differences=(row,), different=1)
    others = [f for f in equal_findings(ALL) if f.layer is not Layer.GENERATION]

    judgement = judge([bad, *others], ALL)

    assert judgement.exit_code is ExitCode.DIFFERENT
    assert judgement.next.startswith("consumer quarantine list")


def test_nothing_else_differs_is_said_only_when_quarantine_explains_every_difference() -> None:
    def judged(*differences: Difference) -> str:
        layers = {difference.layer for difference in differences}
        bad = [
            Finding(
                layer=layer,
                table="" if layer is Layer.GENERATION else "orders",
                differences=tuple(difference for difference in differences if difference.layer is layer),
            )
            for layer in layers
        ]
        places = {(finding.layer, finding.table) for finding in bad}
        return judge([*bad, *(f for f in equal_findings(ALL) if (f.layer, f.table) not in places)], ALL).sentence

    aside = Difference(layer=Layer.GENERATION, table="orders", kind=Kind.QUARANTINED, key="00ff")
    missing = Difference(layer=Layer.CHECKSUMS, table="orders", kind=Kind.QUARANTINED, key="00ff")
    fewer = Difference(layer=Layer.COUNTS, table="orders", kind=Kind.COUNT)
    lost = Difference(layer=Layer.PUBLISHED, table="orders", kind=Kind.COUNT)
    other = Difference(layer=Layer.CHECKSUMS, table="orders", kind=Kind.MISSING_IN_TARGET, key="aa00")

    assert "nothing else differs" in judged(aside, missing, fewer)
    assert "nothing else differs" not in judged(aside, fewer)  # checksums did not see the row missing
    assert "nothing else differs" not in judged(aside, missing, fewer, lost)
    assert "nothing else differs" not in judged(aside, missing, fewer, other)


@given(st.lists(st.sampled_from([Verdict.EQUAL, Verdict.DIFFERENT, Verdict.INCONCLUSIVE, Verdict.SKIPPED])))
def test_the_worst_verdict_wins_whatever_the_order(verdicts: list[Verdict]) -> None:
    assert worst(verdicts) == worst(reversed(verdicts))
    if Verdict.DIFFERENT in verdicts:
        assert worst(verdicts) is Verdict.DIFFERENT
    if worst(verdicts) is Verdict.EQUAL:
        assert set(verdicts) <= {Verdict.EQUAL, Verdict.SKIPPED}


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_more_rows_prove_a_smaller_share(fewer: int, more: int) -> None:
    low, high = sorted((fewer, more))

    assert Sample(rows=high, population=10**9, seed=0).bound <= Sample(rows=low, population=10**9, seed=0).bound


@given(st.floats(min_value=1e-6, max_value=1))
def test_a_share_is_rounded_up_so_the_bound_still_holds(part: float) -> None:
    shown = float(share(part).removesuffix(" %")) / 100

    assert shown >= part - 1e-9


def test_every_layer_of_a_table_is_owed_for_every_table() -> None:
    assert len(ALL.expected()) == 2 + len(TABLE_LAYERS) * len(TABLES)


def test_differences_that_are_not_all_listed_are_not_said_to_be() -> None:
    one = Difference(layer=Layer.CHECKSUMS, table="orders", kind=Kind.VALUE_MISMATCH)
    for total, says in ((1, "each difference is listed"), (2, "all are counted, and the first of each table")):
        bad = Finding(layer=Layer.CHECKSUMS, table="orders", differences=(one,), different=total)

        assert says in judge([bad], ALL).sentence
