from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from runtime.keyring import (
    Keyring,
    Status,
    init_keyring,
    load_kek,
    load_keyring,
    make_kek_file,
    rotate_key,
    set_status,
)
from schemas.envelope import row_contexts
from schemas.errors import KeyringError

KEK = bytes(range(32))
ROW = row_contexts([("1",)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys" / "keyring.json"
    init_keyring(path, "rawdog", KEK)
    return path


def test_a_keyring_is_opened_by_its_kek_and_gives_the_same_keys_again(path: Path) -> None:
    one, again = Keyring.open(path, KEK), Keyring.open(path, KEK)
    cells = one.cell_cipher("rawdog", "orders", "email").encrypt(["a"], ROW)

    assert again.cell_cipher("rawdog", "orders", "email", 1).decrypt(cells, ROW) == [b"a"]
    assert one.transport_key("rawdog", "log") == again.transport_key("rawdog", "log", 1)
    assert one.digest_of("rawdog", ["1"]) == again.digest_of("rawdog", ["1"])
    assert len(one.digest_of("rawdog", ["1"])) == 16


def test_each_purpose_log_and_tenant_has_its_own_key(path: Path) -> None:
    init_keyring(path, "other", KEK)
    ring = Keyring.open(path, KEK)
    keys = [ring.transport_key("rawdog", "a"), ring.transport_key("rawdog", "b"), ring.digest_key("rawdog")]
    keys += [ring.transport_key("other", "a"), ring.digest_key("other"), ring.primary("rawdog").material]

    assert len(set(keys)) == len(keys)


def test_the_file_is_private_and_holds_no_key_in_clear(path: Path) -> None:
    text = path.read_text()
    material = Keyring.open(path, KEK).primary("rawdog").material

    assert path.stat().st_mode & 0o777 == 0o600
    assert material.hex() not in text
    assert base64.b64encode(material).decode() not in text
    assert list(path.parent.iterdir()) == [path]


def test_nothing_shows_a_key(path: Path) -> None:
    ring = Keyring.open(path, KEK)
    shown = f"{ring!r} {ring.primary('rawdog')!r} {ring}"

    assert "Keyring(1 keys)" in shown
    assert "material" not in shown
    assert repr(ring.primary("rawdog").material)[2:-1] not in shown


def test_another_kek_opens_nothing(path: Path) -> None:
    with pytest.raises(KeyringError, match="key 1 does not open with this KEK") as raised:
        Keyring.open(path, bytes(32))

    assert raised.value.hint
    assert raised.value.__suppress_context__


@pytest.mark.parametrize("field", ["tenant", "kid", "wrapped", "check"])
def test_a_keyring_that_somebody_changed_is_refused(path: Path, field: str) -> None:
    init_keyring(path, "other", KEK)
    plain = json.loads(path.read_text())
    one, two = plain["keys"]
    one[field], two[field] = two[field], one[field]
    path.write_text(json.dumps(plain))

    with pytest.raises(KeyringError, match="does not open with this KEK"):
        Keyring.open(path, KEK)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 1, "keys": [{}]}', '{"format": 1, "keys": [{"kid": 0}]}'])
def test_what_is_no_keyring_is_said_to_be_none(path: Path, text: str) -> None:
    path.write_text(text)

    with pytest.raises(KeyringError, match="not a keyring file"):
        Keyring.open(path, KEK)


def test_a_newer_keyring_is_refused(path: Path) -> None:
    path.write_text('{"format": 2}')

    with pytest.raises(KeyringError, match="another format"):
        Keyring.open(path, KEK)


@pytest.mark.parametrize("mode", [0o644, 0o606, 0o620])
def test_files_that_others_can_read_are_refused(path: Path, mode: int) -> None:
    path.chmod(mode)

    with pytest.raises(KeyringError, match="other users may read or write it"):
        Keyring.open(path, KEK)


def test_a_rotated_key_still_opens_what_it_encrypted_and_digests_stay(path: Path) -> None:
    before = Keyring.open(path, KEK)
    cells = before.cell_cipher("rawdog", "orders", "email").encrypt(["a"], ROW)

    assert rotate_key(path, "rawdog", KEK).kid == 2

    after = Keyring.open(path, KEK)
    assert [(key.kid, key.status) for key in after.data_keys("rawdog")] == [(1, Status.ACTIVE), (2, Status.PRIMARY)]
    assert after.cell_cipher("rawdog", "orders", "email").kid == 2
    assert after.cell_cipher("rawdog", "orders", "email", 1).decrypt(cells, ROW) == [b"a"]
    assert after.digest_of("rawdog", ["1"]) == before.digest_of("rawdog", ["1"])


def test_a_destroyed_key_is_gone_for_good(path: Path) -> None:
    rotate_key(path, "rawdog", KEK)
    set_status(path, KEK, 1, Status.DESTROYED)

    ring = Keyring.open(path, KEK)
    assert "wrapped" not in json.loads(path.read_text())["keys"][0]
    with pytest.raises(KeyringError, match="key 1 was destroyed"):
        ring.cell_cipher("rawdog", "orders", "email", 1)


def test_the_primary_key_changes_by_rotation_only(path: Path) -> None:
    with pytest.raises(KeyringError, match="key 1 is primary"):
        set_status(path, KEK, 1, Status.DECRYPT_ONLY)


def test_keys_of_other_tenants_and_unknown_keys_are_refused(path: Path) -> None:
    init_keyring(path, "other", KEK)
    ring = Keyring.open(path, KEK)

    with pytest.raises(KeyringError, match='key 2 is not of tenant "rawdog"'):
        ring.transport_key("rawdog", "log", 2)
    with pytest.raises(KeyringError, match="no key 9"):
        ring.key(9)
    with pytest.raises(KeyringError, match='no primary key for tenant "nobody"'):
        ring.primary("nobody")


def test_a_tenants_keys_are_made_once(path: Path) -> None:
    with pytest.raises(KeyringError, match="has keys already"):
        init_keyring(path, "rawdog", KEK)


def test_a_kek_file_is_made_private_and_never_written_over(tmp_path: Path) -> None:
    kek = make_kek_file(tmp_path / "kek")

    assert (tmp_path / "kek").stat().st_mode & 0o777 == 0o600
    assert load_kek({"KEYRING_KEK_FILE": str(tmp_path / "kek")}) == kek
    with pytest.raises(KeyringError, match="cannot be made"):
        make_kek_file(tmp_path / "kek")


def test_no_keyring_is_an_answer_but_a_missing_one_is_an_error(tmp_path: Path, path: Path) -> None:
    kek = base64.b64encode(KEK).decode()

    assert load_keyring({}) is None
    assert load_keyring({"KEYRING": str(path), "KEYRING_KEK": kek}) is not None
    with pytest.raises(KeyringError, match="cannot be read"):
        load_keyring({"KEYRING": str(tmp_path / "none.json"), "KEYRING_KEK": kek})
    with pytest.raises(KeyringError, match="neither KEYRING_KEK_FILE nor KEYRING_KEK"):
        load_keyring({"KEYRING": str(path)})


@pytest.mark.parametrize("text", ["secret", base64.b64encode(b"short").decode(), "é"])
def test_a_kek_that_is_none_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(KeyringError, match="not 32 bytes in base64") as raised:
        load_kek({"KEYRING_KEK": text})

    assert text not in str(raised.value)


def test_a_keyring_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    if path.stat().st_uid == 0:
        os.chown(path, 12345, -1)

    with pytest.raises(KeyringError, match="belongs to another user"):
        Keyring.open(path, KEK)
