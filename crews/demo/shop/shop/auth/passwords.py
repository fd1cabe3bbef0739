"""Turn passwords into digests that can be kept."""

from __future__ import annotations

import hashlib
import secrets

ROUNDS = 600_000


def new_salt() -> str:
    """Sixteen random bytes, in hexadecimal."""
    return secrets.token_hex(16)


def derive(password: str, salt: str) -> str:
    """The PBKDF2-HMAC-SHA256 digest of a password, in hexadecimal."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), bytes.fromhex(salt), ROUNDS).hex()
