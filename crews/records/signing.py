"""With which key is a checkpoint of the audit log signed, what does it look like, and who signed it?

A checkpoint is a note as https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note define it: the log's name,
its size, its root as base64, an empty line, and a line with an Ed25519 signature over all that comes before it. Tools
that read such notes read these.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from crews.errors import StoreError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_ED25519 = b"\x01"
_DASH = "\u2014"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Who signs: 32 bytes."""

    raw: bytes

    @property
    def fingerprint(self) -> str:
        """What people compare."""
        return f"SHA256:{base64.b64encode(hashlib.sha256(self.raw).digest()).decode().rstrip('=')}"

    def id(self, name: str) -> bytes:
        """The four bytes by which a signature line names its key."""
        return hashlib.sha256(name.encode() + b"\n" + _ED25519 + self.raw).digest()[:4]

    def verifier(self, name: str) -> str:
        """The key as signed-note tools read it."""
        body = base64.b64encode(_ED25519 + self.raw).decode()
        return f"{name}+{self.id(name).hex()}+{body}"

    def has_signed(self, text: str, signature: bytes) -> bool:
        """Is this the key's signature over the text?"""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, text.encode())
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One note, taken apart."""

    origin: str
    """Name of the log."""
    size: int
    """Entries that it covers."""
    root: bytes
    text: str
    """What is signed."""
    key: bytes
    """The first four bytes of the signer's id."""
    signature: bytes

    def is_by(self, key: PublicKey) -> bool:
        """Did this key sign it?"""
        named = self.key == key.id(self.origin)
        return named and key.has_signed(self.text, self.signature)


class SigningKey:
    """A private key."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = PublicKey(private.public_key().public_bytes_raw())

    def checkpoint(self, origin: str, size: int, root: bytes) -> str:
        """A signed note."""
        text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
        signed = self.public.id(origin) + self._private.sign(text.encode())
        return f"{text}\n{_DASH} {origin} {base64.b64encode(signed).decode()}\n"


def parse(note: str) -> Checkpoint:
    """Take a note apart; whether its signature is right is another question.

    Raises:
        ValueError: it is none.
    """
    text, empty, below = note.partition("\n\n")
    lines = text.split("\n")
    if not empty or len(lines) != 3:
        raise ValueError("this is no checkpoint")
    signatures = below.splitlines()
    dash, _, rest = signatures[0].partition(" ") if signatures else ("", "", "")
    name, _, encoded = rest.rpartition(" ")
    if dash != _DASH or name != lines[0] or not _is_whole(lines[1]) or len(signatures) != 1:
        raise ValueError("this is no checkpoint that one key has signed")
    try:
        signed = base64.b64decode(encoded, validate=True)
        root = base64.b64decode(lines[2], validate=True)
    except binascii.Error:
        raise ValueError("this is no checkpoint: it holds something that is no base64") from None
    if note != f"{text}\n\n{signatures[0]}\n" or base64.b64encode(signed).decode() != encoded:
        raise ValueError("this is no checkpoint: something was added to it")
    return Checkpoint(lines[0], int(lines[1]), root, f"{text}\n", signed[:4], signed[4:])


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal() and (text == "0" or text[0] != "0")


def signing_key(file: Path, given: str = "") -> SigningKey:
    """The key that was given, else the one in the file, which is made on its first use.

    Raises:
        UsageError: the key that was given is none.
        StoreError: the file cannot be read or made, or others may read it.
    """
    if given:
        return _given(given)
    try:
        return SigningKey(_in_file(file) or _made(file))
    except OSError as error:
        raise StoreError(f"the key that signs the audit log cannot be used: {error.strerror}",
                         where=str(file), hint="make the folder one that you may write, or set CREWS_AUDIT_KEY",
                         ) from error  # fmt: skip


def _given(text: str) -> SigningKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = _of_pem(text) if text.lstrip().startswith("-----") else None
    try:
        key = key or Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error):
        raise UsageError("this is no private Ed25519 key", where="CREWS_AUDIT_KEY",
                         hint="PEM, as `openssl genpkey -algorithm ed25519` writes it, or 32 bytes as base64",
                         ) from None  # fmt: skip
    return SigningKey(key)


@lru_cache(maxsize=2)
def _of_pem(text: str) -> Ed25519PrivateKey | None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(text.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Ed25519PrivateKey) else None


def _in_file(file: Path) -> Ed25519PrivateKey | None:
    """The key in the file; None: there is none yet."""
    try:
        opened = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with os.fdopen(opened, "rb") as stream:
        if os.fstat(opened).st_mode & 0o077:
            raise StoreError("others may read the key that signs the audit log", where=str(file),
                             hint=f"chmod 600 {file}")  # fmt: skip
        text = stream.read(10_000)
    key = _of_pem(text.decode("utf-8", "replace"))
    if key is None:
        raise StoreError("this is no private Ed25519 key", where=str(file),
                         hint="put the key back, or move the file away: a new one is made then")  # fmt: skip
    return key


def _made(file: Path) -> Ed25519PrivateKey:
    """A new key; where several processes make one, all get the first one's."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    passing = file.parent / f".{file.name}-{secrets.token_hex(4)}"
    try:
        opened = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(opened, "wb") as stream:
            stream.write(pem)
            stream.flush()
            os.fsync(opened)
        os.link(passing, file)  # unlike a rename it never replaces another one's key
    except FileExistsError:
        return _in_file(file) or key
    finally:
        passing.unlink(missing_ok=True)
    return key


def public_keys(text: str, where: str) -> tuple[PublicKey, ...]:
    """The public keys in a file: PEM, keys of signed notes, or base64, one a line.

    Raises:
        UsageError: there is something else in it.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    wrong = UsageError("there is no public Ed25519 key here", where=where,
                       hint="`crews audit keys` prints one a line")  # fmt: skip
    try:
        if text.lstrip().startswith("-----"):
            key = load_pem_public_key(text.encode())
            if not isinstance(key, Ed25519PublicKey):
                raise wrong
            return (PublicKey(key.public_bytes_raw()),)
        words = [word for line in text.splitlines() for word in line.split()[-1:]]
        found = tuple(PublicKey(_raw(word)) for word in words)
    except ValueError:
        raise wrong from None
    if not found:
        raise wrong
    return found


def _raw(word: str) -> bytes:
    found = re.fullmatch(r".+\+[0-9a-f]{8}\+([A-Za-z0-9+/=]+)", word)
    raw = base64.b64decode(found[1] if found else word, validate=True)
    raw = raw[1:] if len(raw) == 33 and raw[:1] == _ED25519 else raw
    if len(raw) != 32:
        raise ValueError("a key has 32 bytes")
    return raw
