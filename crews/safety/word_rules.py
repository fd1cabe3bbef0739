"""Which words around a change say what it touches, and how much does each of them say?

Words are parts of identifiers and of text, cut at `_`, digits and capitals. A plain word (`password`) says enough in a
changed line or in the path; a hint (`session`) needs another beside it; a trace (`key`) needs several. The
weights were set while looking at one half of the commits of `benchmarks/sensitivity.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PLAIN, HINT, TRACE = 1.0, 0.7, 0.4


@dataclass(frozen=True, slots=True)
class WordRule:
    """Words that begin with one of the stems, and what one of them is worth as evidence."""

    category: str
    weight: float
    stems: re.Pattern[str]


def _words(category: str, weight: float, stems: str) -> WordRule:
    return WordRule(category, weight, re.compile("|".join(stems.split())))


WORD_DETAILS = {
    "auth": "authentication, sessions or credentials",
    "crypto": "cryptography, keys or certificates",
    "permissions": "permission or access checks",
}

WORDS: tuple[WordRule, ...] = (
    _words(
        "auth",
        PLAIN,
        """
        authn authent(?!ic$|icamd) unauthent reauth userauth oauth openid$ oidc saml jwt passw passphrase passkey
        passcode credential creds?$ csrf xsrf mfa$ totp hotp$ otp$ webauthn logon login logout signin signout
        signup kerberos bearer impersonat pam$ gssapi ntlm apikey bcrypt argon2 authlib
        """,
    ),
    _words(
        "auth",
        HINT,
        """
        auth(?!or|ent) session cookie krb5 username principal realm identity$ pw$ keytab gss sso$ token(?!i[sz])
        captcha lockout
        """,
    ),
    _words("auth", TRACE, "ldap"),
    _words(
        "crypto",
        PLAIN,
        """
        encrypt decrypt encipher decipher cipher crypto crypt$ rsa$ ecdsa ecdh ed25519 hmac pkcs x509 pubkey privkey
        openssl gnutls evp$ keyring certificate tls$ dtls$ ssl csprng pbkdf hkdf scrypt fips$ pgp$ gpg hashlib
        truststore
        """,
    ),
    _words(
        "crypto",
        HINT,
        r"""
        aes\d*$ certs?$ sha1$ sha2$ sha3 sha256$ sha384$ sha512$ md5 nonce salt(?:s|ed)?$ signature signing urandom
        digest$ keystore gcm$ cbc$ dsa$ entropy$ secret prng rng$ padding$ pki$ hsm$
        """,
    ),
    _words(
        "crypto",
        TRACE,
        "sign$ signed$ verif mac$ asn1 sig$ random$ alg$ algorithm$ trust keys?$ hash$ kms$",
    ),
    _words(
        "permissions",
        PLAIN,
        """
        rbac abac authori[sz] authz privileg unpriv sudo setuid setgid seteuid setegid setreuid acls?$ permission
        polkit selinux apparmor seccomp superuser unauthor sandbox roles?$ iam$ umask
        """,
    ),
    _words(
        "permissions",
        HINT,
        """
        permit(?:s|ted)?$ forbidden chmod chown entitle whitelist blacklist allowlist denylist cors$ geteuid
        getuid grants?$ owner
        """,
    ),
    _words(
        "permissions",
        TRACE,
        "admin uid$ gid$ access$ denied$ allowed$ capab cap$ perms?$ root$ policy$ restrict",
    ),
)
"""Looked through in order; the first rule with a stem that fits decides."""
