"""Is a checkpoint what the standards say, signed by a key that nobody else can read?"""

from __future__ import annotations

import base64
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.errors import StoreError, UsageError
from crews.records.signing import SigningKey, parse, public_keys, signing_key
from tests.records.builders import child, ended

SEED = base64.b64encode(bytes(range(32))).decode()
NOTE = "crews/00\n3\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n— crews/00 "


def fixed() -> SigningKey:
    return signing_key(Path("/nowhere"), SEED)


def test_a_checkpoint_is_a_signed_note() -> None:
    key = fixed()
    note = key.checkpoint("crews/00", 3, bytes(range(32)))
    assert note.startswith(NOTE)
    found = parse(note)
    assert (found.origin, found.size, found.root) == ("crews/00", 3, bytes(range(32)))
    assert found.is_by(key.public)
    assert not found.is_by(
        signing_key(Path("/nowhere"), base64.b64encode(b"x" * 32).decode()).public
    )
    # RFC 8032's way from this seed to the public key.
    assert (
        key.public.raw.hex() == "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    )
    assert key.public.verifier("crews/00").startswith(f"crews/00+{found.key.hex()}+AQOhB7/z")


@given(st.data())
def test_no_changed_note_passes(data: st.DataObject) -> None:
    key = fixed()
    note = key.checkpoint("crews/00", 3, bytes(range(32)))
    place = data.draw(st.integers(0, len(note) - 1))
    other = data.draw(st.text(max_size=2).filter(lambda t: t != note[place]))
    try:
        found = parse(note[:place] + other + note[place + 1 :])
    except ValueError:
        return
    assert not found.is_by(key.public)


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "home" / "keys" / "audit.pem"
    code = (
        "import sys; from pathlib import Path; from crews.records.signing import signing_key; "
        "print(signing_key(Path(sys.argv[1])).public.fingerprint)"
    )
    found = set(ended([child(code, str(file)) for _ in range(3)]))
    assert found == {signing_key(file).public.fingerprint}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [p.name for p in file.parent.iterdir()] == ["audit.pem"]
    assert signing_key(tmp_path / "no", file.read_text()).public == signing_key(file).public


def test_a_key_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "audit.pem"
    signing_key(file)
    file.chmod(0o640)
    with pytest.raises(StoreError, match="others may read") as error:
        signing_key(file)
    assert error.value.hint.startswith("chmod 600")
    file.chmod(0o600)
    file.write_text("no key")
    with pytest.raises(StoreError, match="no private Ed25519 key"):
        signing_key(file)
    with pytest.raises(UsageError, match="no private Ed25519 key"):
        signing_key(file, "no key")
    link = tmp_path / "link.pem"
    link.symlink_to(file)
    with pytest.raises(StoreError, match="cannot be used"):
        signing_key(link)


def test_public_keys_are_read_in_each_of_their_forms() -> None:
    public = fixed().public
    plain = base64.b64encode(public.raw).decode()
    for text in (plain, public.verifier("crews/00"), f"{public.fingerprint} host {plain}\n"):
        assert public_keys(text, "file") == (public,)
    for text in ("", "x", "AAAA"):
        with pytest.raises(UsageError, match="no public Ed25519 key"):
            public_keys(text, "file")
