"""Which columns seem personal or secret."""

from __future__ import annotations

import pytest

from schemas.catalogue import Catalogue, Column, Constraint, Key, Table, UserType
from schemas.suspicion import Proposal, suspicions, worth_sampling
from schemas.telltale import kind_of_values
from schemas.telltale_names import Form, kind_of_name


@pytest.mark.parametrize(
    ("name", "form", "kind"),
    [
        ("email", Form.TEXT, "e-mail"),
        ("BillingEMail", Form.TEXT, "e-mail"),
        ("e-mail address", Form.TEXT, "e-mail"),
        ("customerPhoneNumber", Form.TEXT, "phone"),
        ("phone", Form.NUMBER, "phone"),
        ("Téléphone", Form.TEXT, "phone"),
        ("password_hash", Form.TEXT, "password or secret"),
        ("mot_de_passe", Form.TEXT, "password or secret"),
        ("stripeSecretKey", Form.TEXT, "password or secret"),
        ("tiktok_refresh_token", Form.TEXT, "token"),
        ("api_key", Form.BYTES, "token"),
        ("oauth", Form.DOCUMENT, "token"),
        ("iban", Form.TEXT, "bank account"),
        ("card_last4", Form.TEXT, "payment card"),
        ("CreditCardNumber", Form.NUMBER, "payment card"),
        ("tax_id", Form.TEXT, "tax or identity number"),
        ("SSN", Form.NUMBER, "tax or identity number"),
        ("default_address", Form.DOCUMENT, "address"),
        ("Straße", Form.TEXT, "address"),
        ("last_name", Form.TEXT, "name of a person"),
        ("vorname", Form.TEXT, "name of a person"),
        ("date_of_birth", Form.DATE, "birthday"),
        ("geburtsdatum", Form.DATE, "birthday"),
        ("client_ip", Form.NETWORK, "ip address"),
        ("IPAddress", Form.TEXT, "ip address"),
    ],
)
def test_a_column_is_suspicious_by_its_name(name: str, form: Form, kind: str) -> None:
    assert kind_of_name(name, form) == kind


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("email_sent_at", Form.DATE),
        ("email_sent_at", Form.TEXT),
        ("email", Form.NOTHING),  # a boolean
        ("email_verified", Form.TEXT),
        ("email_template", Form.TEXT),
        ("address_id", Form.NUMBER),
        ("address_id", Form.TEXT),
        ("tax_id", Form.NUMBER),  # points at a row of taxes
        ("tax_cents", Form.NUMBER),
        ("token_expires_ms", Form.NUMBER),
        ("token_type", Form.TEXT),
        ("token_count", Form.NUMBER),
        ("password_changed_at", Form.DATE),
        ("has_phone", Form.TEXT),
        ("ip_version", Form.TEXT),
        ("shipping", Form.TEXT),
        ("description", Form.TEXT),
        ("zipped", Form.TEXT),
        ("keyboard", Form.TEXT),
        ("spinner", Form.TEXT),
        ("key", Form.TEXT),
        ("idempotency_key", Form.TEXT),
        ("memory_address", Form.TEXT),
        ("card_brand", Form.TEXT),
        ("title", Form.TEXT),
        ("created_on", Form.DATE),
        ("", Form.TEXT),
        ("🦆", Form.TEXT),
    ],
)
def test_what_only_sounds_like_it_is_left_alone(name: str, form: Form) -> None:
    assert kind_of_name(name, form) is None


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["ann@example.com", None, "", "n/a"], "e-mail"),
        (['{"to": "ann@example.com"}'], "e-mail"),
        (["+49 30 901820", "+1 (212) 555-0100"], "phone"),
        (["DE89370400440532013000"], "bank account"),
        (["4111111111111111", "5555 5555 5555 4444"], "payment card"),
        (["123-45-6789", "219-09-9999"], "tax or identity number"),
        (["$2b$12$" + "x" * 53], "password or secret"),
        (["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc"], "token"),
        (["8.8.8.8", "1.1.1.1", "2606:4700::1111/128"], "ip address"),
    ],
)
def test_a_column_is_suspicious_by_its_values(values: list[str | None], kind: str) -> None:
    assert kind_of_values(values) == kind


@pytest.mark.parametrize(
    "values",
    [
        [],
        [None, "", "  "],
        ["a@b", "me @ home", "@handle", "user@localhost"],
        ["1234567890123456", "1234567890123457"],
        ["1.2.3.4"],  # a version, perhaps
        ["10.0.0.1", "192.168.0.1", "::1"],
        ["2026-01-01", "12:30"],
        ["text with ann@example.com in it"] + ["words"] * 9,
        ["\N{SUPERSCRIPT TWO}" * 16, "٤" * 16],
    ],
)
def test_values_that_only_look_like_it_are_left_alone(values: list[str | None]) -> None:
    assert kind_of_values(values) is None


def test_a_column_that_the_database_relies_on_is_proposed_to_be_kept_and_says_why() -> None:
    table = Table(
        name="users",
        columns=(
            Column(name="id", type="bigint"),
            Column(name="email", type="login"),
            Column(name="phone", type="text"),
            Column(name="token", type="text"),
            Column(name="gender", type="genders"),
            Column(name="contact", type="text"),
        ),
        primary_key=Key(name="users_pkey", columns=("id",), definition="PRIMARY KEY (id)"),
        uniques=(Key(name="users_email_key", columns=("email",), definition="UNIQUE (email)"),),
        checks=(Constraint(name="phone_form", definition="CHECK ((phone ~ '^[+]'::text))"),),
    )
    catalogue = Catalogue(
        tables=(table,),
        types=(
            UserType(name="login", kind="domain", definition="character varying(80) NOT NULL"),
            UserType(name="genders", kind="enum", definition="ENUM ('f', 'm')", labels=("f", "m")),
        ),
    )

    found = suspicions(table, catalogue, {"contact": ["ann@example.com"]}, settled={"token"})

    assert [(one.column, one.kind, one.why, one.proposal, one.bound) for one in found] == [
        ("email", "e-mail", "by its name", Proposal.KEEP, 'part of the unique constraint "users_email_key"'),
        ("phone", "phone", "by its name", Proposal.KEEP, 'in the constraint "phone_form"'),
        ("contact", "e-mail", "by its values", Proposal.ENCRYPT, ""),
    ]
    assert worth_sampling(table, catalogue) == ["contact"]
