"""The keyring: secrets on disk, mode 0600, and tokens of which only digests are kept."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from api.keyring import InboxKeys, InboxSecret, Keyring, KeyringDamaged, Token


def keyring(folder: Path) -> Keyring:
    """The keyring of this folder."""
    return Keyring(folder / "keyring.json")


def test_a_token_opens_with_its_secret_half_only(tmp_path: Path) -> None:
    """Right secret: its id. Wrong secret, unknown id, another form: nothing."""
    ring, token = keyring(tmp_path), Token.new()
    ring.put_token(token)
    assert ring.token_id(token.text) == token.id
    other = Token.new()
    for wrong in (
        token.text[:-1] + ("A" if token.text[-1] != "A" else "B"),
        other.text,
        f"mlt_{other.id}_{token.text.split('_', 2)[2]}",
        f"mlt_{token.id}_",
        token.id,
        "",
        f"{token.text}\n",
    ):
        assert ring.token_id(wrong) is None


def test_an_unknown_id_is_not_opened_by_the_dummy_digest(tmp_path: Path) -> None:
    """The digest compared against for an unknown id belongs to nobody."""
    assert keyring(tmp_path).token_id(f"mlt_{'0' * 32}_{'A' * 32}") is None


def test_a_dropped_token_opens_nothing(tmp_path: Path) -> None:
    """Revoked means its digest is gone."""
    ring, token = keyring(tmp_path), Token.new()
    ring.put_token(token)
    ring.drop_token(token.id)
    assert ring.token_id(token.text) is None


def test_the_file_is_private_and_has_no_token_in_it(tmp_path: Path) -> None:
    """Mode 0600 whatever the umask, and nothing one could log in with."""
    old = os.umask(0)
    try:
        ring, token = keyring(tmp_path), Token.new()
        ring.put_token(token)
    finally:
        os.umask(old)
    path = tmp_path / "keyring.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert token.text.split("_", 2)[2] not in path.read_text()
    assert [file.name for file in tmp_path.iterdir()] == ["keyring.json"]


def test_two_tokens_share_nothing() -> None:
    """128 bits of id, 192 of secret, from the system's generator."""
    tokens = [Token.new() for _ in range(50)]
    assert len({token.id for token in tokens}) == 50
    assert len({token.text.split("_", 2)[2] for token in tokens}) == 50
    assert all(len(token.text.split("_", 2)[2]) == 32 for token in tokens)


def test_keys_survive_a_restart_and_another_hand(tmp_path: Path) -> None:
    """A second keyring reads what the first wrote; the first notices what the second wrote."""
    first = keyring(tmp_path)
    keys = InboxKeys((InboxSecret("new"), InboxSecret("old", not_after_s=100)), "verify")
    first.put_inbox("support", keys)
    second = keyring(tmp_path)
    assert [(one.value, one.not_after_s) for one in second.secrets("support")] == [
        (b"new", None),
        (b"old", 100),
    ]
    assert second.verify_token("support") == "verify"
    token = Token.new()
    second.put_token(token)
    assert first.token_id(token.text) == token.id
    assert first.secrets("support") == second.secrets("support")


def test_an_unknown_inbox_has_no_secrets(tmp_path: Path) -> None:
    """So nothing can be signed for it."""
    assert keyring(tmp_path).secrets("nobody") == ()
    assert keyring(tmp_path).verify_token("nobody") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"inboxes": 1}', b'{"other": {}}'])
def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    """Nothing is guessed, nothing is overwritten, nothing of it is quoted."""
    path = tmp_path / "keyring.json"
    path.write_bytes(content)
    with pytest.raises(KeyringDamaged):
        keyring(tmp_path)
    assert path.read_bytes() == content


def test_secrets_are_not_in_any_repr() -> None:
    """What is printed by accident tells nothing."""
    token = Token.new()
    keys = InboxKeys((InboxSecret("a secret value"),), "a verify token")
    shown = repr(token) + repr(keys)
    assert token.text not in shown
    assert "a secret value" not in shown
    assert "a verify token" not in shown
