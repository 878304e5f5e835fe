from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.derivation import derive, prefixed, row_digest
from schemas.envelope import OVERHEAD_BYTES, CellCipher, NotAnEnvelope, Undecryptable, header_kid, row_contexts
from schemas.errors import ContractError
from schemas.records import Position
from schemas.seal import seal, unseal

KEY = bytes(range(32))
NAMES = ("rawdog", "orders", "email")
ROW = row_contexts([("ord_1",)])


def cipher(
    key: bytes = KEY, kid: int = 1, tenant: str = "rawdog", table: str = "orders", column: str = "email"
) -> CellCipher:
    return CellCipher(key, kid, tenant, table, column, nonces=os.urandom)


def sealed(plaintext: str | bytes = "ann@example.com") -> bytes:
    (cell,) = cipher().encrypt([plaintext], ROW)
    assert cell is not None
    return cell


@pytest.mark.parametrize(
    ("plaintext", "row_key", "expected"),
    [
        (
            "ann@example.com",
            ("ord_1",),
            "fe0100000001000102030405060708090a0b95d6c5a71e59270cc172eb824ea325f694ad0700dbe427cc5d8db7927488d5",
        ),
        ("", ("ord_1",), "fe0100000001000102030405060708090a0b1358b5f46f5521c73df23091bf1e4816"),
        ("ü", ("1", "2"), "fe0100000001000102030405060708090a0b3704af22f9de30b456a4fae87c38c3bbe1b4"),
        (b"\xfe\x00", (), "fe0100000001000102030405060708090a0b0ab8a293fe1aa3ff8ad2e553c80c351f2205"),
    ],
)
def test_envelopes_of_published_vectors(plaintext: str | bytes, row_key: tuple[str, ...], expected: str) -> None:
    fixed = CellCipher(KEY, 1, *NAMES, nonces=lambda size: (bytes(range(12)) * size)[:size])

    assert fixed.encrypt([plaintext], row_contexts([row_key])) == [bytes.fromhex(expected)]
    assert fixed.decrypt([bytes.fromhex(expected)], row_contexts([row_key])) == [
        plaintext.encode() if isinstance(plaintext, str) else plaintext
    ]


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(st.tuples(st.none() | texts | st.binary(), st.tuples(texts, texts)), max_size=8))
def test_cells_come_back_and_null_stays_null(rows: list[tuple[str | bytes | None, tuple[str, str]]]) -> None:
    plaintexts, contexts = [row[0] for row in rows], row_contexts(row[1] for row in rows)
    cells = cipher().encrypt(plaintexts, contexts)

    expected = [text.encode() if isinstance(text, str) else text for text in plaintexts]
    assert cipher().decrypt(cells, contexts) == cipher().decrypt_or_none(cells, contexts) == expected
    assert all(
        len(cell) == len(plain) + OVERHEAD_BYTES for cell, plain in zip(cells, expected, strict=True) if cell and plain
    )


@pytest.mark.parametrize(
    "other",
    [
        cipher(key=bytes(32)),
        cipher(kid=2),
        cipher(tenant="rawdog2"),
        cipher(table="order"),
        cipher(table="ordersem", column="ail"),
        cipher(column="phone"),
    ],
)
def test_a_cell_opens_only_under_its_own_key_tenant_table_and_column(other: CellCipher) -> None:
    with pytest.raises(Undecryptable):
        other.decrypt([sealed()], ROW)


@pytest.mark.parametrize("row_key", [(), ("ord_2",), ("ord_1", ""), ("ord", "_1"), ("", "ord_1")])
def test_a_cell_moved_to_another_row_does_not_open(row_key: tuple[str, ...]) -> None:
    assert cipher().decrypt_or_none([sealed()], row_contexts([row_key])) == [None]


def test_any_flipped_bit_and_any_cut_is_noticed() -> None:
    cell = sealed("x")
    flipped = [
        cell[:place] + bytes([cell[place] ^ 1 << bit]) + cell[place + 1 :]
        for place in range(len(cell))
        for bit in range(8)
    ]
    cut = [cell[:length] for length in range(len(cell))] + [cell + b"\0"]

    assert set(cipher().decrypt_or_none([*flipped, *cut], ROW * len([*flipped, *cut]))) == {None}


def test_the_row_that_does_not_open_is_named_by_its_place_only() -> None:
    with pytest.raises(Undecryptable, match="row 2") as raised:
        cipher().decrypt([sealed(), None, b"ann@example.com"], ROW * 3)

    assert raised.value.row == 2
    assert raised.value.__context__ is None


def test_equal_plaintexts_give_different_envelopes() -> None:
    assert len(set(cipher().encrypt(["same"] * 50, ROW * 50))) == 50


def test_fewer_keys_than_cells_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        cipher().encrypt(["a", "b"], ROW)


def test_a_key_of_any_length_binds() -> None:
    long, longer = row_contexts([("é" * 40_000,)]), row_contexts([("é" * 40_001,)])

    assert cipher().decrypt(cipher().encrypt(["a"], long), long) == [b"a"]
    assert cipher().decrypt_or_none(cipher().encrypt(["a"], long), longer) == [None]


def test_the_header_names_the_key_and_plaintext_has_no_header() -> None:
    assert header_kid(cipher(kid=2**32 - 1).encrypt(["a"], ROW)[0] or b"") == 2**32 - 1
    for other in (b"", b"ann@example.com" * 3, b"\xfe\x02" + bytes(40), sealed("")[:-1]):
        with pytest.raises(NotAnEnvelope):
            header_kid(other)


def test_a_cipher_does_not_show_its_key() -> None:
    assert repr(cipher()) == "CellCipher(kid=1)"


@given(st.lists(st.binary(max_size=3), max_size=4), st.lists(st.binary(max_size=3), max_size=4))
def test_joined_parts_stay_apart(one: list[bytes], other: list[bytes]) -> None:
    assert (b"".join(map(prefixed, one)) == b"".join(map(prefixed, other))) == (one == other)


def test_derivation_and_digest_of_published_vectors() -> None:
    assert (
        derive(KEY, "batch", "rawdog", "log").hex()
        == "329c1bcc85f31c314d37ea3d37f929caffd145bbaf3f746a4fab0cadc90fcbca"
    )
    assert row_digest(KEY, ["a", "bc"]) == "89fb978e6af1da40"
    assert row_digest(KEY, ["ab", "c"]) != row_digest(KEY, ["a", "bc"])


@given(st.binary(), st.binary())
def test_a_seal_opens_to_what_was_sealed_and_is_the_same_again(plaintext: bytes, associated: bytes) -> None:
    value = seal(KEY, plaintext, associated)

    assert unseal(KEY, value, associated, "t-0@1") == plaintext
    assert seal(KEY, plaintext, associated) == value
    assert seal(KEY, plaintext, associated + b"\0")[:12] != value[:12]


def test_a_seal_of_published_vectors() -> None:
    assert seal(KEY, b"value", b"place").hex() == "667976c36c98571332e6d067e5dc68863875577ab0bddddfa7c9fdb6948532c64e"


@pytest.mark.parametrize(
    ("key", "value", "associated"),
    [
        (bytes(32), seal(KEY, b"value", b"place"), b"place"),
        (KEY, seal(KEY, b"value", b"place"), b"another place"),
        (KEY, seal(KEY, b"value", b"place")[:-1], b"place"),
        (KEY, b"Obj\x01", b"place"),
        (KEY, b"", b"place"),
    ],
)
def test_what_does_not_open_names_its_position_and_nothing_else(key: bytes, value: bytes, associated: bytes) -> None:
    with pytest.raises(ContractError, match=r"^rawdog\.orders-0@7: sealed value cannot be opened") as raised:
        unseal(key, value, associated, Position("rawdog.orders", 0, 7))

    assert raised.value.__context__ is None
