"""A secret at rest is ciphertext under a data key of its own, and the data key is ciphertext under the key-encryption key (KEK).
A caller's key at rest is a digest under the pepper.

A sealed value opens only in the row and the field it was sealed for: a ciphertext copied to another row is refused.

    sealed  = version (1) | nonce (12) | data key wrapped (32 + 16) | nonce (12) | ciphertext | tag (16)
"""

import base64
import binascii
import hashlib
import hmac
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = 32  # AES-256
NONCE = 12  # the size that GCM is made for; random, as each data key encrypts once and the KEK wraps far fewer than 2**32 keys
TAG = 16
VERSION = 1
TABLE = "secrets"
_HEAD = 1 + NONCE + KEY + TAG + NONCE


class Unsealable(Exception):
    """The value was not sealed by this key for this row and field, or was changed since. Says nothing of the content."""


class Keyring:
    """Seals and opens with one key-encryption key. `random` gives n unpredictable bytes."""

    def __init__(self, kek: bytes, *, random: Callable[[int], bytes] = os.urandom) -> None:
        if len(kek) != KEY:
            raise ValueError(f"the key-encryption key must be {KEY} bytes, this one has {len(kek)}")
        self._kek = AESGCM(kek)
        self._random = random
        # Kept in the database to tell a wrong key before it seals anything; the digest of 256 random bits gives nothing away.
        self.fingerprint = hashlib.sha256(b"spangate kek fingerprint\x00" + kek).hexdigest()[:32]

    def __repr__(self) -> str:
        return f"Keyring({self.fingerprint})"

    def seal(self, plaintext: bytes, *, row: str, field: str) -> bytes:
        bound = _bound(row, field)
        key, outer, inner = self._random(KEY), self._random(NONCE), self._random(NONCE)
        wrapped = self._kek.encrypt(outer, key, b"key|" + bound)
        return bytes([VERSION]) + outer + wrapped + inner + AESGCM(key).encrypt(inner, plaintext, b"value|" + bound)

    def open(self, sealed: bytes, *, row: str, field: str) -> bytes:
        if len(sealed) < _HEAD + TAG:
            raise Unsealable(f"{len(sealed)} bytes are too few for a sealed value")
        if sealed[0] != VERSION:
            raise Unsealable(f"sealed in version {sealed[0]}, this program knows version {VERSION}")
        bound = _bound(row, field)
        outer, wrapped, inner = sealed[1 : 1 + NONCE], sealed[1 + NONCE : _HEAD - NONCE], sealed[_HEAD - NONCE : _HEAD]
        try:
            key = self._kek.decrypt(outer, wrapped, b"key|" + bound)
            return AESGCM(key).decrypt(inner, sealed[_HEAD:], b"value|" + bound)
        except InvalidTag:
            raise Unsealable(f"does not open with key {self.fingerprint} for {TABLE} {row} {field}") from None


class Pepper:
    """Digests of the keys that callers show. Who has a copy of the database alone can neither use a key nor tell whether a guess is one."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY:
            raise ValueError(f"the pepper must be {KEY} bytes, this one has {len(secret)}")
        self._secret = secret
        self._own = hashlib.sha256(b"spangate tag\x00" + secret).digest()
        self.fingerprint = hashlib.sha256(b"spangate pepper fingerprint\x00" + secret).hexdigest()[:32]

    def __repr__(self) -> str:
        return f"Pepper({self.fingerprint})"

    def digest(self, key: bytes) -> bytes:
        """HMAC-SHA-256 of a key's UTF-8 bytes."""
        return hmac.digest(self._secret, key, "sha256")

    def tag(self, said: bytes) -> bytes:
        """HMAC-SHA-256 of what we say ourselves, under a key of its own: whatever key is shown, its digest is no tag."""
        return hmac.digest(self._own, said, "sha256")


def parse_key(text: str) -> bytes:
    """The 32 bytes that a base64 text (either alphabet) stands for."""
    try:
        key = base64.b64decode(text.strip().translate(str.maketrans("-_", "+/")), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("a key must be base64 text") from None
    if len(key) != KEY:
        raise ValueError(f"a key must be {KEY} bytes in base64, this one has {len(key)}")
    return key


def load_or_make_key(path: Path, *, random: Callable[[int], bytes] = os.urandom) -> bytes:
    """The key in the file, which is made (mode 0600) if there is none. Two processes that start at once end up with the same key."""
    try:
        return parse_key(_private_text(path))
    except FileNotFoundError:
        pass
    publish_private(path, base64.b64encode(random(KEY)) + b"\n")
    return parse_key(_private_text(path))


def publish_private(path: Path, content: bytes) -> bool:
    """Writes a new file whole, mode 0600, and on the disk; False, and nothing changed, if there is one already."""
    fd, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # unlike rename, never replaces: the first one wins
        except FileExistsError:
            return False
    finally:
        os.unlink(temporary)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # a key that sealed something must not vanish with the power
    finally:
        os.close(directory)
    return True


def _private_text(path: Path) -> str:
    with path.open(encoding="ascii") as file:
        mode = os.fstat(file.fileno()).st_mode & 0o777
        if mode & 0o077:
            raise PermissionError(f"{path} can be read by others (mode {mode:04o}): run chmod 600 on it, and think of who has read it")
        return file.read()


def _bound(row: str, field: str) -> bytes:
    """Names the place without doubt: lengths keep `a|b` + `c` apart from `a` + `b|c`."""
    return f"{TABLE}|{row}|{field}|{len(row)}".encode()
