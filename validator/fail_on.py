"""Which differences make the exit code 1 (`--fail-on`), and what keeps a run from ending with 0 all the same.

Narrowing changes the exit code and nothing else: what differs is shown, and the verdict stays
different. It only ever speaks of differences: what could not be decided, was not reached or was cut
short is 3 as before. A difference that is counted and not listed may be any that its layer finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum

from schemas.errors import ConfigurationError, ExitCode
from validator.verdict import Difference, Finding, Judgement, Kind, Layer, Request, Verdict


class Failure(StrEnum):
    """What a person may fail on; every kind of difference is of one of them."""

    ANY = "any"
    MISSING = "missing"
    EXTRA = "extra"
    VALUE = "value"
    COUNT = "count"
    SUM = "sum"
    FK = "fk"
    SCHEMA = "schema"
    QUARANTINE = "quarantine"
    ORGANIZATION = "organization"


_KINDS: Mapping[Failure, frozenset[Kind]] = {
    Failure.MISSING: frozenset({Kind.MISSING_IN_TARGET}),
    Failure.EXTRA: frozenset({Kind.EXTRA_IN_TARGET}),
    Failure.VALUE: frozenset({Kind.VALUE_MISMATCH, Kind.UNDECRYPTABLE, Kind.ENVELOPE}),
    Failure.COUNT: frozenset({Kind.COUNT}),
    Failure.SUM: frozenset({Kind.SUM}),
    Failure.FK: frozenset({Kind.ORPHAN_LOST, Kind.ORPHAN_WAITING, Kind.ORPHAN_NEW, Kind.NOT_VALIDATED}),
    Failure.SCHEMA: frozenset({Kind.SCHEMA}),
    Failure.QUARANTINE: frozenset({Kind.QUARANTINED, Kind.DISCARDED}),
    Failure.ORGANIZATION: frozenset({Kind.ORGANIZATION}),
}

# Where each is found. A run that leaves all of these out would never fail on it.
_FOUND_BY: Mapping[Failure, frozenset[Layer]] = {
    Failure.MISSING: frozenset({Layer.CHECKSUMS, Layer.CELLS, Layer.ROWS}),
    Failure.EXTRA: frozenset({Layer.CHECKSUMS, Layer.CELLS, Layer.ROWS}),
    Failure.VALUE: frozenset({Layer.CHECKSUMS, Layer.ENVELOPES, Layer.CELLS, Layer.ROWS, Layer.PUBLISHED}),
    Failure.COUNT: frozenset({Layer.COUNTS, Layer.PUBLISHED}),
    Failure.SUM: frozenset({Layer.SUMS}),
    Failure.FK: frozenset({Layer.FOREIGN_KEYS, Layer.SCHEMA}),
    Failure.SCHEMA: frozenset({Layer.SCHEMA}),
    Failure.QUARANTINE: frozenset(Layer),  # whatever finds a row missing sees that it stands there
    Failure.ORGANIZATION: frozenset({Layer.ORGANIZATION}),
}

# Without these a run could miss it altogether.
_NEEDS: Mapping[Failure, tuple[Layer, ...]] = {
    Failure.MISSING: (Layer.CHECKSUMS,),
    Failure.EXTRA: (Layer.CHECKSUMS,),
    Failure.VALUE: (Layer.CHECKSUMS, Layer.CELLS),
    Failure.COUNT: (Layer.COUNTS, Layer.PUBLISHED),
    Failure.SUM: (Layer.SUMS,),
    Failure.FK: (Layer.FOREIGN_KEYS,),
    Failure.SCHEMA: (Layer.SCHEMA,),
    Failure.ORGANIZATION: (Layer.ORGANIZATION,),
}


def failure_of(difference: Difference) -> Failure:
    """Of what a difference is; a table that the target lacks is missing rows and all, whatever layer says so."""
    if difference.kind is Kind.SCHEMA and difference.layer is not Layer.SCHEMA:
        return Failure.MISSING
    return next(failure for failure, kinds in _KINDS.items() if difference.kind in kinds)


def check_looked_for(failures: Iterable[Failure], layers: Sequence[Layer]) -> None:
    """See that what is to be failed on is looked for.

    Raises:
        ConfigurationError: its layers were left out, so it could never be found.
    """
    for failure in failures:
        needed = _NEEDS.get(failure, ())
        if absent := [layer.value for layer in needed if layer not in layers]:
            raise ConfigurationError(
                f"--fail-on {failure.value}: found by {' and '.join(absent)}, which this run leaves out",
                hint=f"look at {', '.join(layer.value for layer in needed)}, too, or fail on something else",
            )


def narrowed(
    judgement: Judgement, findings: Sequence[Finding], request: Request, failures: Sequence[Failure], *, complete: bool
) -> Judgement:
    """The judgement with the exit code that these failures leave."""
    if judgement.verdict is not Verdict.DIFFERENT or Failure.ANY in failures:
        return judgement
    found = {failure_of(difference) for finding in findings for difference in finding.differences}
    if found & set(failures) or any(_may_hide(finding, failures) for finding in findings):
        return judgement
    chosen = f"--fail-on {','.join(failure.value for failure in failures)}"
    if reason := _undecided(findings, request, complete=complete):
        sentence = f"{judgement.sentence} Of what {chosen} asks for nothing was found, but {reason}."
        return replace(judgement, exit_code=ExitCode.INCONCLUSIVE, sentence=sentence)
    others = ", ".join(sorted(failure.value for failure in found)) or "not listed"
    sentence = f"{judgement.sentence} The exit code is 0 because {chosen} does not ask for what differs ({others})."
    if request.left_out:
        sentence += f" Not looked at: {'; '.join(request.left_out)}."
    return replace(judgement, exit_code=ExitCode.DONE, sentence=sentence)


def _may_hide(finding: Finding, failures: Sequence[Failure]) -> bool:
    """Whether a difference that is counted and not listed may be one that is failed on."""
    is_listed = finding.total <= len(finding.differences)
    return not is_listed and any(finding.layer in _FOUND_BY[failure] for failure in failures)


def _undecided(findings: Sequence[Finding], request: Request, *, complete: bool) -> str:
    """Why it cannot be said that none of the failures is there; empty when it can."""
    if not complete or request.expected() - {(finding.layer, finding.table) for finding in findings}:
        return "the run was cut short"
    if any(finding.unknown or finding.verdict is Verdict.INCONCLUSIVE for finding in findings):
        return "not everything could be decided"
    return ""
