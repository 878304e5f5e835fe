"""Control records and headers survive the log, and foreign records are refused by name."""

from __future__ import annotations

import pytest

from schemas import records
from schemas.errors import ContractError
from schemas.records import Header, Kind, Position

AT = Position("t.orders", 2, 41)

EXAMPLES: list[records.ControlRecord] = [
    records.SnapshotStarted(
        log="00000000-0000-0000-0000-000000000000",
        tenant="t",
        generation=1,
        instant="2026-01-01T00:00:00.000000Z",
        migration_digest="d",
        system_identifier="7",
        database="old",
        server_version=150018,
        wal_position="0/1",
        snapshot="1:1:",
        tables=("customers", "orders"),
        is_partial=False,
        catalogue="{}",
    ),
    records.SnapshotResumed(
        generation=1, instant="i", wal_position="0/2", snapshot="2:2:", kept=("customers",), again=()
    ),
    records.TableStarted(
        table="orders",
        generation=1,
        attempt=2,
        instant="i",
        topic="t.orders",
        partitions=3,
        columns=(records.WireColumn(name="a b", type="text", field="a_x20_b", wire="string"),),
        schema="00ff",
        key=("id",),
        parents=("customers",),
    ),
    records.Checkpoint(table="orders", generation=1, attempt=1, sequence=3, rows=3000, bytes=9, last_key=("42",)),
    records.TableFinished(
        table="orders",
        generation=1,
        attempt=1,
        rows=5,
        batches=1,
        partition_rows=5,
        partition_batches=1,
        sums={"total_cents": "99999999999999999999"},
    ),
    records.SnapshotFinished(generation=1, instant="i", rows={"orders": 5}, attempts={"orders": 1}),
    records.SnapshotAbandoned(generation=1, instant="i", reason="--restart"),
]


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: str(record.kind))
def test_control_record_survives_the_log(record: records.ControlRecord) -> None:
    assert records.decode(record.kind, records.encode(record), AT) == record


def test_every_kind_but_batch_has_an_example() -> None:
    assert {record.kind for record in EXAMPLES} == set(Kind) - {Kind.BATCH}


def test_header_survives_kafka() -> None:
    header = Header(kind=Kind.BATCH, log="l", generation=3, attempt=2, sequence=7, rows=1000, schema="ab", kid="1")

    assert Header.from_kafka(header.to_kafka(), AT) == header


def test_record_of_another_format_is_refused_with_an_upgrade_hint() -> None:
    headers = [(name, b"2" if name == "format" else value) for name, value in _header().to_kafka()]

    with pytest.raises(records.UnknownFormat, match=r"t\.orders-2@41: record of format 2") as refused:
        Header.from_kafka(headers, AT)

    assert "upgrade" in refused.value.hint


def test_record_without_our_headers_is_refused() -> None:
    with pytest.raises(ContractError, match="without a format"):
        Header.from_kafka(None, AT)


def test_damaged_control_record_names_its_position_and_not_its_bytes() -> None:
    with pytest.raises(ContractError, match=r"t\.orders-2@41: checkpoint record cannot be decoded"):
        records.decode(Kind.CHECKPOINT, b"Obj\x01 secret", AT)


def test_associated_data_differs_with_every_part() -> None:
    base = _header().associated_data("t", 0)
    others = {
        _header().associated_data("t", 1),
        _header().associated_data("u", 0),
        _header(generation=2).associated_data("t", 0),
        _header(attempt=2).associated_data("t", 0),
        _header(sequence=2).associated_data("t", 0),
        _header(rows=2).associated_data("t", 0),
        _header(schema="x").associated_data("t", 0),
        _header(log="x").associated_data("t", 0),
        _header(kind=Kind.CHECKPOINT).associated_data("t", 0),
    }

    assert base not in others
    assert len(others) == 9


def _header(**changes: object) -> Header:
    parts: dict[str, object] = {"kind": Kind.BATCH, "log": "l", "generation": 1, "attempt": 1, **changes}
    return Header(**parts)  # type: ignore[arg-type]
