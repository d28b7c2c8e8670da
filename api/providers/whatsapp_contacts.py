"""Who a WhatsApp message is from or for: user ids, phone ids, and how the two are joined.

A business-scoped user id (``US.1349…``) is the stable key where the payload has one; a user who
hides the number has nothing else. The ``wa_id`` (the phone number's digits) is the key otherwise. A
payload that shows both proves that the two conversations are one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from attrs import evolve, frozen

from api.providers.contract import Request, conversation_id
from api.providers.drafting import derived
from api.providers.node import Malformed, Node
from eventstore.draft import Draft
from eventstore.events import Contact, ContactAliased

_PUNCTUATION = str.maketrans("", "", "+ -().")


@frozen
class Person:
    """One end of a conversation, known by at least one of the two ids."""

    user_id: str | None = None
    wa_id: str | None = None
    name: str | None = None
    username: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether there is an id; a name alone names nobody."""
        return bool(self.user_id or self.wa_id)

    @property
    def key(self) -> str:
        """The most stable id."""
        key = self.user_id or self.wa_id
        assert key is not None
        return key

    @property
    def contact(self) -> Contact:
        """As events name this person."""
        return Contact(id=self.key, name=self.name, phone=self.wa_id, username=self.username)


class People:
    """The ``contacts`` of one value, by either id."""

    def __init__(self, value: Node) -> None:
        listed = [_listed(contact) for contact in value.maybe_each("contacts")]
        self._listed = [each for each in listed if each.is_known]
        self._by_user_id = {each.user_id: each for each in self._listed if each.user_id}
        self._by_wa_id = {each.wa_id: each for each in self._listed if each.wa_id}

    def find(self, node: Node, user_id_key: str, wa_id_key: str) -> Person:
        """The person whom these members of a message or status name.

        Raises :class:`Malformed` where neither is there and the contacts do not tell.
        """
        person = self.maybe_find(node, user_id_key, wa_id_key)
        if person is None and len(self._listed) == 1:
            [person] = self._listed
        if person is None:
            raise Malformed(f"{node.path}.{wa_id_key}", "nobody is named")
        return person

    def maybe_find(self, node: Node, user_id_key: str, wa_id_key: str) -> Person | None:
        """The person whom these members name, with what the contacts add; None for nobody."""
        user_id, wa_id = node.maybe_text(user_id_key), maybe_wa_id(node, wa_id_key)
        if user_id is None and wa_id is None:
            return None
        listed = self._by_user_id.get(user_id or "") or self._by_wa_id.get(wa_id or "")
        # The same number under another user id is somebody else, or this user after a change of
        # number: nothing of theirs is taken.
        if listed is None or (user_id and listed.user_id not in (user_id, None)):
            return Person(user_id, wa_id)
        return evolve(listed, user_id=user_id or listed.user_id, wa_id=wa_id or listed.wa_id)


def _listed(contact: Node) -> Person:
    profile = contact.maybe_child("profile")
    return Person(
        user_id=contact.maybe_text("user_id"),
        wa_id=maybe_wa_id(contact, "wa_id"),
        name=profile.maybe_text("name"),
        username=profile.maybe_text("username"),
    )


def maybe_wa_id(node: Node, key: str) -> str | None:
    """A phone's id as bare digits where it is one: echoes carry the number as it was dialled."""
    text = node.maybe_text(key)
    if text is None:
        return None
    digits = text.translate(_PUNCTUATION)
    return digits if digits.isascii() and digits.isdigit() else text


def aliases(request: Request, person: Person) -> Iterator[Draft]:
    """The proof that user id and wa_id are one contact, where both are known.

    It is derived again from every such payload and recorded once, thanks to its key.
    """
    if person.user_id and person.wa_id:
        yield from joined(request, person.user_id, person.wa_id, "user_id")


def joined(
    request: Request, stays: str, goes: str, reason: Literal["user_id", "changed_number"]
) -> Iterator[Draft]:
    """The conversation of contact key ``goes`` joins that of ``stays``."""
    conversation = conversation_id(request.inbox, stays)
    alias = conversation_id(request.inbox, goes)
    if conversation != alias:
        event = ContactAliased(alias, reason)
        yield derived(request, event, conversation, "alias", conversation, alias, reason)
