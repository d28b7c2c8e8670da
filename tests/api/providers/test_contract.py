"""What all providers share: names, secrets, conversation ids."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.providers import (
    PROVIDERS,
    ProviderUnknown,
    Secret,
    SecretMalformed,
    conversation_id,
    provider_named,
)
from api.providers.contract import active


def test_a_provider_is_found_by_its_own_name() -> None:
    """The mapping's keys are the names the providers give themselves."""
    assert {name: provider.name for name, provider in PROVIDERS.items()} == {
        "whatsapp": "whatsapp",
        "standard": "standard",
    }
    assert provider_named("standard") is PROVIDERS["standard"]


def test_an_unknown_provider_is_a_clear_error() -> None:
    """The message tells the wrong name and the right ones."""
    with pytest.raises(ProviderUnknown, match="'carrier-pigeon'; there are: whatsapp, standard"):
        provider_named("carrier-pigeon")


@pytest.mark.parametrize("name", PROVIDERS)
def test_a_new_secret_signs_what_it_then_verifies(name: str) -> None:
    """The text made of random bytes is a good secret of that provider."""
    provider = PROVIDERS[name]
    secret = Secret(provider.new_secret(bytes(range(32))).encode())
    provider.check_secret(secret)
    headers = provider.sign(b"{}", secret, now_s=1_000)
    provider.verify(headers, b"{}", [secret], 1_000)


def test_there_is_no_empty_secret() -> None:
    """An HMAC under the empty key is one that everybody can make."""
    with pytest.raises(SecretMalformed):
        Secret(b"")


def test_a_secret_does_not_show_itself() -> None:
    """A secret in a log line or traceback would be a leak."""
    assert "tell-nobody" not in repr(Secret(b"tell-nobody"))


def test_a_secret_counts_up_to_and_including_its_last_second() -> None:
    """Rotation: the old secret dies at its date, one without a date lives on."""
    old, new = Secret(b"old", not_after_s=100), Secret(b"new")
    assert active([old, new], 100) == [old, new]
    assert active([old, new], 101) == [new]


@settings(deadline=None)
@given(inbox=st.text(max_size=20), contact=st.text())
def test_a_conversation_id_fits_into_an_events_header(inbox: str, contact: str) -> None:
    """Whatever a contact's key holds (line feeds, NUL, 3 MB), the id is 22 plain ones."""
    assert re.fullmatch("c_[0-9a-f]{20}", conversation_id(inbox, contact))


def test_a_conversation_belongs_to_one_contact_in_one_inbox() -> None:
    """Neither another inbox nor another cut between inbox and contact gives the same id."""
    ids = [("a", "bc"), ("ab", "c"), ("1", "1:x"), ("1:1", "x"), ("b", "bc"), ("a", "bd")]
    assert len({conversation_id(*each) for each in ids}) == len(ids)


def test_a_conversation_id_is_for_ever() -> None:
    """Ids are in people's logs: a change of how they are made would split every conversation."""
    assert conversation_id("support", "US.13491208655302741918") == "c_cca4e14bd0d4edeef4f0"
