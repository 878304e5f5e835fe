import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.postgres import explain, failure, is_row_fault, is_transient
from runtime.settings import (
    KafkaSettings,
    SourceSettings,
    TargetSettings,
    kafka_settings,
    load_environment,
    migration_path,
    redact,
    source_settings,
    target_settings,
)
from schemas.errors import ConfigurationError, SourceError, TargetError

SECRET = "hunter2"

awkward = st.text(st.sampled_from("ab1@/:?#[]%&=+ '\\é"), max_size=8)


def complaint(url: str) -> str:
    try:
        source_settings({"POSTGRES_URL": url})
    except ConfigurationError as error:
        return f"{error} {error.hint}"
    return ""


@given(awkward, awkward)
def test_a_password_is_never_shown(before: str, after: str) -> None:
    password = f"{before}{SECRET}{after}"
    in_quotes = password.replace("\\", "\\\\").replace("'", "\\'")
    urls = [
        f"postgresql://ann:{quote(password, safe='')}@db.example:5432/shop",
        f"postgresql://ann:{password}@db.example:5432/shop",
        f"postgresql://db.example/shop?user=ann&password={quote(password, safe='')}&sslpassword={SECRET}",
        f"host=db.example dbname=shop password='{in_quotes}'",
        password,
    ]

    for url in urls:
        assert SECRET not in redact(url)
        assert SECRET not in f"{SourceSettings(url)} {SourceSettings(url)!r} {TargetSettings(url)!r}"
        assert SECRET not in complaint(url)


@given(st.text(st.sampled_from("ab1@/:?#[]%&=+ é"), min_size=1, max_size=8))
def test_a_url_whose_password_is_encoded_shows_its_place(password: str) -> None:
    url = f"postgresql://ann:{quote(password, safe='')}@db.example:5432/shop"

    assert redact(url) == "postgresql://ann@db.example:5432/shop"


@pytest.mark.parametrize("settings", [source_settings, target_settings])
def test_a_missing_url_names_its_variable(settings: Callable[[dict[str, str]], object]) -> None:
    variable = "POSTGRES_URL" if settings is source_settings else "NEW_POSTGRES_URL"

    with pytest.raises(ConfigurationError, match=f"^{variable} is not set"):
        settings({})


def test_a_url_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text(f"postgresql://ann:{SECRET}@db/shop\n")

    assert target_settings({"NEW_POSTGRES_URL_FILE": str(file)}).url == f"postgresql://ann:{SECRET}@db/shop"
    with pytest.raises(ConfigurationError, match="are both set"):
        target_settings({"NEW_POSTGRES_URL_FILE": str(file), "NEW_POSTGRES_URL": "postgresql://db/shop"})
    with pytest.raises(ConfigurationError, match=r"^NEW_POSTGRES_URL_FILE: .* cannot be read"):
        target_settings({"NEW_POSTGRES_URL_FILE": str(tmp_path / "none")})


def test_kafka_variables_beat_the_properties_file(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text(
        "# ours\nbootstrap.servers=file:1\nsasl.mechanism = PLAIN\nssl.ca.location=/a\\\n  /b\nclient.id=x\n"
    )
    password = tmp_path / "password"
    password.write_text(f"{SECRET}\n")

    kafka = kafka_settings(
        {
            "KAFKA_PROPERTIES": str(file),
            "KAFKA_BOOTSTRAP_SERVERS": "env:2",
            "KAFKA_CLIENT_ID": "y",
            "KAFKA_SASL_PASSWORD_FILE": str(password),
            "KAFKA_OPTS": "-Xmx1g",
            "KAFKA_HEAP_OPTS": "-Xmx1g",
            "KAFKA_PORT_9092_TCP": "tcp://10.0.0.1:9092",
        }
    )

    assert kafka.bootstrap == "env:2"
    assert dict(kafka.properties) == {
        "sasl.mechanism": "PLAIN",
        "ssl.ca.location": "/a/b",
        "client.id": "y",
        "sasl.password": SECRET,
    }
    assert SECRET not in f"{kafka} {kafka!r}"


def test_a_wrong_properties_line_is_named_but_not_repeated(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text(f"a=b\n{SECRET}\n")

    with pytest.raises(ConfigurationError, match=r"client.properties:2: not a key=value line") as caught:
        kafka_settings({"KAFKA_PROPERTIES": str(file)})
    assert SECRET not in str(caught.value)


def test_brokers_must_be_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^KAFKA_BOOTSTRAP_SERVERS is not set"):
        kafka_settings({"KAFKA_CLIENT_ID": "x"})
    assert kafka_settings({"KAFKA_BOOTSTRAP_SERVERS": "b:1"}) == KafkaSettings("b:1", {})


def test_the_env_file_fills_gaps_and_overrides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("POSTGRES_URL=file\nNEW_POSTGRES_URL=file\nexport RAWDOG_X='a b'  # why\nRAWDOG_Y=$HOME\n")
    for name in ("POSTGRES_URL", "NEW_POSTGRES_URL", "RAWDOG_X", "RAWDOG_Y"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    monkeypatch.setenv("POSTGRES_URL", "environment")
    monkeypatch.setenv("NEW_POSTGRES_URL_FILE", "/run/secrets/url")

    load_environment()

    assert os.environ["POSTGRES_URL"] == "environment"
    assert "NEW_POSTGRES_URL" not in os.environ
    assert (os.environ["RAWDOG_X"], os.environ["RAWDOG_Y"]) == ("a b", "$HOME")


def test_an_env_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file"):
        load_environment(tmp_path / "none.env")


def test_the_migration_is_the_named_one_or_the_one_here_or_the_shipped_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert migration_path({"MIGRATION": "other.toml"}) == Path("other.toml")
    assert migration_path({}).is_file()
    Path("rawdog.toml").write_text("")
    assert migration_path({}) == Path("rawdog.toml")


# ---------------------------------------------------------------- errors of the database

TRANSIENT = ("08006", "40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03")
ROW_FAULTS = ("22P02", "22003", "23505", "23503", "23514")
FATAL = ("42P01", "42501", "53100", "25006", "57014", "XX000")


def test_each_sqlstate_is_either_transient_or_a_rows_fault_or_fatal() -> None:
    assert all(is_transient(state) and not is_row_fault(state) for state in TRANSIENT)
    assert all(is_row_fault(state) and not is_transient(state) for state in ROW_FAULTS)
    assert not any(is_row_fault(state) or is_transient(state) for state in FATAL)


def test_a_lost_connection_is_transient() -> None:
    assert is_transient(psycopg.OperationalError("server closed the connection unexpectedly"))
    assert not is_transient(psycopg.ProgrammingError("misuse"))


def test_an_explanation_repeats_nothing_that_the_server_said() -> None:
    error = psycopg.errors.InvalidTextRepresentation(f'invalid input syntax for type integer: "{SECRET}"')

    assert str(explain(error, "target: orders")) == "target: orders: invalid text representation (SQLSTATE 22P02)"
    assert isinstance(explain(error, "x", side="source"), SourceError)
    assert isinstance(explain(psycopg.OperationalError(SECRET), "x"), TargetError)
    assert SECRET not in f"{explain(psycopg.OperationalError(SECRET), 'x')} {failure(psycopg.DataError(SECRET))}"
