import base64
import hashlib
import hmac
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from spangate.envelope import Keyring, Pepper, Unsealable, load_or_make_key, parse_key, publish_private

KEK = bytes(range(32))
OTHER = bytes(range(1, 33))


@pytest.fixture
def keys() -> Keyring:
    return Keyring(KEK)


@pytest.mark.parametrize("plaintext", [b"", b"k", b'{"api_key":"sk-1"}', os.urandom(100_000)])
def test_opens_what_it_sealed(keys: Keyring, plaintext: bytes) -> None:
    assert keys.open(keys.seal(plaintext, row="s-1", field="value"), row="s-1", field="value") == plaintext


def test_never_seals_twice_alike(keys: Keyring) -> None:
    assert keys.seal(b"x", row="s-1", field="value") != keys.seal(b"x", row="s-1", field="value")


def test_uses_a_new_data_key_and_nonces_each_time() -> None:
    drawn: list[int] = []

    def random(count: int) -> bytes:
        drawn.append(count)
        return bytes([len(drawn)]) * count

    keys = Keyring(KEK, random=random)
    sealed = keys.seal(b"x", row="s-1", field="value")
    assert drawn == [32, 12, 12]
    assert sealed[:13] == b"\x01" + b"\x02" * 12
    assert sealed[61:73] == b"\x03" * 12
    assert len(sealed) == 73 + 1 + 16


@pytest.mark.parametrize(("row", "field"), [("s-2", "value"), ("s-1", "other"), ("s-1|value", ""), ("s", "-1|value")])
def test_refuses_another_place(keys: Keyring, row: str, field: str) -> None:
    sealed = keys.seal(b"x", row="s-1", field="value")
    with pytest.raises(Unsealable):
        keys.open(sealed, row=row, field=field)


def test_tells_places_apart_whose_names_join_alike(keys: Keyring) -> None:
    sealed = keys.seal(b"x", row="a|b", field="c")
    with pytest.raises(Unsealable):
        keys.open(sealed, row="a", field="b|c")


def test_refuses_another_key(keys: Keyring) -> None:
    with pytest.raises(Unsealable, match=Keyring(OTHER).fingerprint):
        Keyring(OTHER).open(keys.seal(b"x", row="s-1", field="value"), row="s-1", field="value")


def test_refuses_any_changed_byte(keys: Keyring) -> None:
    sealed = keys.seal(b"secret", row="s-1", field="value")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(Unsealable):
            keys.open(bytes(changed), row="s-1", field="value")


def test_refuses_any_cut(keys: Keyring) -> None:
    sealed = keys.seal(b"secret", row="s-1", field="value")
    for length in range(len(sealed)):
        with pytest.raises(Unsealable):
            keys.open(sealed[:length], row="s-1", field="value")


def test_shows_a_fingerprint_but_no_key(keys: Keyring) -> None:
    assert keys.fingerprint == Keyring(KEK).fingerprint != Keyring(OTHER).fingerprint
    assert repr(keys) == f"Keyring({keys.fingerprint})"
    assert KEK.hex() not in repr(keys)


def test_a_pepper_digests_with_hmac() -> None:
    assert Pepper(KEK).digest(b"sg-key") == hmac.new(KEK, b"sg-key", hashlib.sha256).digest() != Pepper(OTHER).digest(b"sg-key")


def test_a_pepper_shows_a_fingerprint_but_not_itself() -> None:
    pepper = Pepper(KEK)
    assert pepper.fingerprint == Pepper(KEK).fingerprint != Pepper(OTHER).fingerprint
    assert pepper.fingerprint != Keyring(KEK).fingerprint
    assert repr(pepper) == f"Pepper({pepper.fingerprint})"


@pytest.mark.parametrize("secret", [b"", b"x" * 31, b"x" * 33])
def test_refuses_a_pepper_of_another_size(secret: bytes) -> None:
    with pytest.raises(ValueError, match="must be 32 bytes"):
        Pepper(secret)


@pytest.mark.parametrize("kek", [b"", b"x" * 31, b"x" * 33])
def test_refuses_a_key_of_another_size(kek: bytes) -> None:
    with pytest.raises(ValueError, match="must be 32 bytes"):
        Keyring(kek)


def test_parses_either_base64_alphabet() -> None:
    key = bytes([0xFB, 0xFF]) * 16
    assert parse_key(base64.b64encode(key).decode()) == parse_key(base64.urlsafe_b64encode(key).decode() + "\n") == key


@pytest.mark.parametrize("text", ["", "hunter2", "!" * 44, base64.b64encode(b"short").decode(), "ä"])
def test_refuses_what_is_no_key(text: str) -> None:
    with pytest.raises(ValueError, match="a key must be"):
        parse_key(text)


def test_makes_the_file_once_and_for_its_owner_only(tmp_path) -> None:
    path = tmp_path / "kek.key"
    key = load_or_make_key(path)
    assert len(key) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_make_key(path) == key
    assert os.listdir(tmp_path) == ["kek.key"]


def test_agrees_on_one_key_when_many_start_at_once(tmp_path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: load_or_make_key(tmp_path / "kek.key"), range(32)))) == 1
    assert os.listdir(tmp_path) == ["kek.key"]


def test_refuses_a_file_that_others_can_read(tmp_path) -> None:
    path = tmp_path / "kek.key"
    load_or_make_key(path)
    path.chmod(0o640)
    with pytest.raises(PermissionError, match="chmod 600"):
        load_or_make_key(path)


def test_never_replaces_a_file(tmp_path) -> None:
    assert publish_private(tmp_path / "f", b"1")
    assert not publish_private(tmp_path / "f", b"2")
    assert (tmp_path / "f").read_bytes() == b"1"
