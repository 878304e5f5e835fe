"""What RAWDOG's generator and its migration say, held against each other without a server."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from embedded.rawdog import CANARY, KEPT_MARK, MESS, TABLES, WAITING
from embedded.rawdog.mess import expected_quarantine
from embedded.rawdog.proportions import big_document_bytes, drawn_rows
from schemas.migration import parse_migration

ROOT = Path(__file__).parents[2]
RAWDOG = ROOT / "embedded" / "rawdog"

# Secrets, and what names a person: all of it is encrypted.
SECRET_OR_DIRECT = {
    "customers": "password_hash storefront_access_token email phone first_name last_name default_address addresses birthday note",
    "creators": "instagram_access_token tiktok_refresh_token oauth tax_id w9_pdf payout_details email display_name phone paypal_email",
    "withdrawal_requests": "destination otp_code approver_email",
    "landing_pages": "config",
    "ab_tests": "salt",
    "esign_documents": "access_token pdf_url signer_name signer_email signature_image pdf signed_pdf_base64 audit_trail fields",
    "creator_projects": "files",
    "orders": "raw_payload email billing_address shipping_address note_attributes card_last4",
    "reviews": "customer_email author",
    "blog_posts": "author_email",
}
# What leads to a person only together with something else: encrypted, or kept with a reason.
INDIRECT = {
    "customers": "last_ip",
    "orders": "client_ip user_agent landing_site",
    "line_items": "properties",
    "reviews": "ip",
    "withdrawal_requests": "ip",
    "attribution_touchpoints": "visitor_id session_id url referrer gclid ip user_agent geo raw",
    "esign_documents": "signer_ip",
}
# Columns whose type holds no text of that length.
UNMARKED = {
    ("customers", "birthday"),
    ("customers", "last_ip"),
    ("orders", "client_ip"),
    ("orders", "card_last4"),
    ("withdrawal_requests", "ip"),
    ("attribution_touchpoints", "ip"),
    ("attribution_touchpoints", "geo"),
    ("attribution_touchpoints", "visitor_id"),
    ("esign_documents", "signer_ip"),
}


@pytest.fixture(scope="module")
def migration() -> dict[str, Any]:
    return tomllib.loads((ROOT / "rawdog.toml").read_text(encoding="utf-8"))


def test_every_secret_and_every_name_of_a_person_is_encrypted(migration: dict[str, Any]) -> None:
    missing = {
        (table, column)
        for table, columns in SECRET_OR_DIRECT.items()
        for column in columns.split()
        if column not in migration["table"][table]["encrypt"]
    }

    assert not missing


def test_every_indirectly_personal_column_is_encrypted_or_kept_with_a_reason(migration: dict[str, Any]) -> None:
    for table, columns in INDIRECT.items():
        rules = migration["table"][table]
        assert set(columns.split()) <= {*rules["encrypt"], *rules.get("keep", {})}


def test_nothing_that_is_not_personal_is_encrypted_or_kept(migration: dict[str, Any]) -> None:
    for table, rules in migration["table"].items():
        personal = f"{SECRET_OR_DIRECT.get(table, '')} {INDIRECT.get(table, '')}".split()
        assert {*rules.get("encrypt", ()), *rules.get("keep", {})} <= set(personal)


def test_the_migration_is_one_that_the_programs_read() -> None:
    migration = parse_migration((ROOT / "rawdog.toml").read_text(encoding="utf-8"), "rawdog.toml")

    assert migration.schema_ == "tenant_rawdog"
    assert migration.rules("attribution_touchpoints").keep["visitor_id"].startswith("a pseudonym")
    assert not migration.where("table", "esign_documents", "encrypt").endswith(":1")


def test_the_migration_names_all_tables_parents_first(migration: dict[str, Any]) -> None:
    assert tuple(migration["tables"]) == TABLES


def test_every_encrypted_column_holds_a_canary_and_every_kept_one_its_mark(migration: dict[str, Any]) -> None:
    for table, rules in migration["table"].items():
        rows = (RAWDOG / "special" / f"{table}.sql").read_text(encoding="utf-8")
        for mark, columns in ((CANARY, rules.get("encrypt", ())), (KEPT_MARK, rules.get("keep", {}))):
            marks = {f"{mark}{table}-{column}" for column in columns if (table, column) not in UNMARKED}
            assert {text for text in marks if text not in rows} == set()


def test_no_canary_stands_where_it_may_be_read(migration: dict[str, Any]) -> None:
    for table in TABLES:
        rows = (RAWDOG / "special" / f"{table}.sql").read_text(encoding="utf-8")
        marked = set(re.findall(rf"{CANARY}{table}-(\w+)", rows))
        assert marked <= set(migration["table"].get(table, {}).get("encrypt", ()))


def test_scale_1_has_about_a_million_rows_and_the_smallest_scale_has_all_tables() -> None:
    assert 1_000_000 <= sum(drawn_rows(1).values()) <= 1_050_000
    assert set(drawn_rows(1e-9).values()) == {1}


@pytest.mark.parametrize("scale", [0, -1, 1_000, float("nan"), float("inf")])
def test_a_scale_that_means_nothing_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="scale"):
        drawn_rows(scale)


def test_big_documents_are_small_where_tests_want_speed() -> None:
    assert big_document_bytes(0.1) == 15_000_000
    assert big_document_bytes(0.01) == 300_000


def test_each_row_that_will_be_quarantined_is_written_under_its_key() -> None:
    for row in MESS:
        assert f"('{row.key[0]}'," in (RAWDOG / "mess" / f"{row.table}.sql").read_text(encoding="utf-8")
    assert [key for _, key, _ in expected_quarantine()] == [row.key for row in MESS]


def test_each_waiting_key_points_at_a_table_that_has_quarantined_rows() -> None:
    assert {key.parent for key in WAITING} <= {row.table for row in MESS}


def test_every_table_has_drawn_and_special_rows() -> None:
    for folder in ("bulk", "special"):
        assert {path.stem for path in (RAWDOG / folder).glob("*.sql")} == set(TABLES)
