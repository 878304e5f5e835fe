"""`--fail-on` narrows what ends with 1, and nothing undecided ends with 0 for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigurationError, ExitCode
from validator.fail_on import Failure, check_looked_for, failure_of, narrowed
from validator.verdict import Difference, Finding, Judgement, Kind, Layer, Request, Verdict, judge

ALL = Request(layers=tuple(Layer), tables=("orders",), all_tables=("orders",))
PLACES = sorted(ALL.expected())
NARROW = [failure for failure in Failure if failure is not Failure.ANY]
DIFFERENCES = st.builds(
    Difference,
    layer=st.sampled_from([Layer.CHECKSUMS, Layer.CELLS, Layer.SCHEMA, Layer.FOREIGN_KEYS]),
    table=st.just("orders"),
    kind=st.sampled_from([kind for kind in Kind if kind is not Kind.CHANGED_SINCE]),
)


def findings_of(differences: list[Difference]) -> list[Finding]:
    return [
        Finding(
            layer=layer,
            table=table,
            looked_at=7,
            there=7,
            differences=tuple(item for item in differences if (item.layer, item.table) == (layer, table)),
        )
        for layer, table in PLACES
    ]


def end(
    findings: list[Finding], *failures: Failure, request: Request = ALL, complete: bool = True
) -> tuple[Judgement, ExitCode]:
    plain = judge(findings, request, interrupted=not complete)
    told = narrowed(plain, findings, request, failures, complete=complete)
    assert told.verdict is plain.verdict
    return told, told.exit_code


@given(st.lists(DIFFERENCES, min_size=1, max_size=5), st.sets(st.sampled_from(NARROW), min_size=1))
def test_listed_differences_end_with_1_exactly_when_one_is_failed_on(
    differences: list[Difference], chosen: set[Failure]
) -> None:
    told, code = end(findings_of(differences), *chosen)

    is_hit = any(failure_of(item) in chosen for item in differences)
    assert code is (ExitCode.DIFFERENT if is_hit else ExitCode.DONE)
    assert told.verdict is Verdict.DIFFERENT
    assert is_hit or "The exit code is 0 because --fail-on" in told.sentence


@given(
    st.lists(DIFFERENCES, max_size=3), st.sets(st.sampled_from(NARROW), min_size=1), st.sampled_from(PLACES), st.data()
)
def test_what_is_undecided_short_absent_or_interrupted_never_ends_with_0(
    differences: list[Difference], chosen: set[Failure], place: tuple[Layer, str], data: st.DataObject
) -> None:
    findings, complete = findings_of(differences), True
    spoiled = next(finding for finding in findings if (finding.layer, finding.table) == place)
    how = data.draw(st.sampled_from(["unknown", "short", "absent", "interrupted"]))
    if how == "interrupted":
        complete = False
    elif how == "absent":
        findings.remove(spoiled)
    else:
        worse = (
            replace(spoiled, unknown=("why",)) if how == "unknown" else replace(spoiled, looked_at=6, differences=())
        )
        findings[findings.index(spoiled)] = worse

    assert end(findings, *chosen, complete=complete)[1] in (ExitCode.DIFFERENT, ExitCode.INCONCLUSIVE)


def test_a_difference_that_is_counted_and_not_listed_may_be_any_that_its_layer_finds() -> None:
    findings = findings_of([Difference(layer=Layer.CHECKSUMS, table="orders", kind=Kind.VALUE_MISMATCH)])
    many = [replace(finding, different=5) if finding.total else finding for finding in findings]

    assert end(many, Failure.MISSING)[1] is ExitCode.DIFFERENT
    assert end(many, Failure.FK)[1] is ExitCode.DONE


def test_a_table_that_is_not_there_is_missing_whatever_layer_says_so() -> None:
    lost = [Difference(layer=Layer.CHECKSUMS, table="orders", kind=Kind.SCHEMA)]

    assert end(findings_of(lost), Failure.MISSING)[1] is ExitCode.DIFFERENT


def test_a_narrow_end_with_0_says_what_was_not_looked_at() -> None:
    request = replace(ALL, layers=(Layer.GENERATION, Layer.SCHEMA, Layer.FOREIGN_KEYS))
    findings = findings_of([Difference(layer=Layer.SCHEMA, table="orders", kind=Kind.SCHEMA)])
    there = [finding for finding in findings if finding.layer in request.layers]

    told, code = end(there, Failure.FK, request=request)

    assert code is ExitCode.DONE
    assert "Not looked at: layers counts" in told.sentence


def test_failing_on_what_no_layer_looks_for_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="--fail-on fk: found by foreign-keys, which this run leaves out"):
        check_looked_for([Failure.ANY, Failure.FK], [Layer.GENERATION, Layer.COUNTS])

    check_looked_for(list(Failure), list(Layer))


def test_every_kind_of_difference_can_be_failed_on() -> None:
    for kind in set(Kind) - {Kind.CHANGED_SINCE}:
        assert failure_of(Difference(layer=Layer.SCHEMA, table="orders", kind=kind)) in NARROW
