"""Lifelike webhook bodies of people who do not exist, for ``malote demo``, ``simulate`` and tests.

Pure: the dice are handed in, so one seed is one history. Sign a body with the provider's ``sign``
and POST it, and it is a webhook.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

from attrs import evolve, frozen

from api.simulated_cast import ANSWERS, CAPTIONS, CAST, EMOJI, PLACES, QUESTIONS, Actor

T = TypeVar("T")
Json: TypeAlias = dict[str, Any]


class Dice(Protocol):
    """What is used of :class:`random.Random`."""

    def choice(self, seq: Sequence[T], /) -> T:
        """One of them."""

    def choices(
        self, population: Sequence[T], weights: Sequence[float] | None = None, /
    ) -> list[T]:
        """One of them, by weight, in a list."""

    def getrandbits(self, k: int, /) -> int:
        """An integer of k random bits."""

    def uniform(self, a: float, b: float, /) -> float:
        """A number between the two."""


class Simulator:
    """One account of a provider, written to by a small cast. Every body has a new id."""

    def __init__(self, dice: Dice, provider: str) -> None:
        """Raise :class:`KeyError` for a provider that has no simulation."""
        self._play: Callable[[int], Json] = PLAYS[provider](dice).next

    def next(self, now_s: int) -> bytes:
        """The next body, of a moment ``now_s`` in seconds since the Unix epoch."""
        # Escaped, as WhatsApp has it on the wire.
        return json.dumps(self._play(now_s), separators=(",", ":")).encode()


# --- WhatsApp ----------------------------------------------------------------------------------


_METADATA = {"display_phone_number": "15550783881", "phone_number_id": "106540352242922"}
_REPORTS = ("sent", "delivered", "read")


@frozen
class Sent:
    """A message of the business; ``reported`` of the three reports on it are made."""

    message_id: str
    to: Actor
    reported: int = 0


class WhatsAppPlay:
    """Questions come in, the business answers from its phone, its answers are reported as read."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._sent: deque[Sent] = deque(maxlen=100)
        self._acts: Mapping[Callable[[Actor, str], Json], int] = {
            self._text: 50,
            self._answer: 16,
            self._report: 20,
            self._image: 5,
            self._react: 4,
            self._reply: 3,
            self._location: 2,
        }

    def next(self, now_s: int) -> Json:
        """One change, as Meta posts it."""
        [act] = self._dice.choices([*self._acts], [*self._acts.values()])
        change = act(self._dice.choice(CAST), str(now_s))
        entry = {"id": "102290129340398", "changes": [change]}
        return {"object": "whatsapp_business_account", "entry": [entry]}

    def _text(self, who: Actor, time: str) -> Json:
        text = self._dice.choice(QUESTIONS[who.language])
        return self._message(who, time, {"type": "text", "text": {"body": text}})

    def _image(self, who: Actor, time: str) -> Json:
        image = {
            "id": str(10**15 + self._dice.getrandbits(50)),
            "mime_type": "image/jpeg",
            "sha256": f"{self._dice.getrandbits(256):064x}",
            "caption": self._dice.choice(CAPTIONS[who.language]),
        }
        return self._message(who, time, {"type": "image", "image": image})

    def _location(self, who: Actor, time: str) -> Json:
        location = {
            "latitude": round(self._dice.uniform(-23.7, -23.4), 6),
            "longitude": round(self._dice.uniform(-46.8, -46.4), 6),
            "name": self._dice.choice(PLACES[who.language]),
        }
        return self._message(who, time, {"type": "location", "location": location})

    def _react(self, who: Actor, time: str) -> Json:
        if not self._sent:
            return self._text(who, time)
        answer = self._dice.choice(self._sent)
        reaction = {"message_id": answer.message_id, "emoji": self._dice.choice(EMOJI)}
        return self._message(answer.to, time, {"type": "reaction", "reaction": reaction})

    def _reply(self, who: Actor, time: str) -> Json:
        if not self._sent:
            return self._text(who, time)
        answer = self._dice.choice(self._sent)
        text = self._dice.choice(QUESTIONS[answer.to.language])
        context = {"from": _METADATA["display_phone_number"], "id": answer.message_id}
        return self._message(
            answer.to, time, {"type": "text", "text": {"body": text}, "context": context}
        )

    def _answer(self, who: Actor, time: str) -> Json:
        message_id = self._message_id()
        echo = {
            "from": _METADATA["display_phone_number"],
            "to": who.wa_id,
            "to_user_id": who.user_id,
            "id": message_id,
            "timestamp": time,
            "type": "text",
            "text": {"body": self._dice.choice(ANSWERS[who.language])},
        }
        self._sent.append(Sent(message_id, who))
        return self._change("smb_message_echoes", who, {"message_echoes": [echo]})

    def _report(self, who: Actor, time: str) -> Json:
        if not self._sent:
            return self._text(who, time)
        answer = self._sent.popleft()
        status = {
            "id": answer.message_id,
            "status": _REPORTS[answer.reported],
            "timestamp": time,
            "recipient_id": answer.to.wa_id,
            "recipient_user_id": answer.to.user_id,
        }
        if answer.reported + 1 < len(_REPORTS):
            self._sent.append(evolve(answer, reported=answer.reported + 1))
        return self._change("messages", answer.to, {"statuses": [status]})

    def _message(self, who: Actor, time: str, content: Json) -> Json:
        envelope = {"from": who.wa_id, "from_user_id": who.user_id, "id": self._message_id()}
        return self._change(
            "messages", who, {"messages": [{**envelope, "timestamp": time, **content}]}
        )

    def _change(self, field: str, who: Actor, updates: Json) -> Json:
        contact = {"profile": {"name": who.name}, "wa_id": who.wa_id, "user_id": who.user_id}
        value = {"messaging_product": "whatsapp", "metadata": _METADATA}
        return {"field": field, "value": {**value, "contacts": [contact], **updates}}

    def _message_id(self) -> str:
        return f"wamid.{self._dice.getrandbits(128):032X}"


# --- Standard Webhooks -------------------------------------------------------------------------


class StandardPlay:
    """A shop's own systems telling what happens to orders."""

    _EVENTS = (
        ("order.created", "Order {order} came in: {items} items, R$ {total:.2f}"),
        ("order.paid", "Order {order} was paid, R$ {total:.2f}"),
        ("order.shipped", "Order {order} left the warehouse"),
        ("ticket.opened", "A question about order {order}"),
    )

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._order = 1000

    def next(self, now_s: int) -> Json:
        """One event, in the shape :mod:`api.providers.standard` makes most of."""
        self._order += 1
        who = self._dice.choice(CAST)
        type_, text = self._dice.choice(self._EVENTS)
        facts = {
            "order": self._order,
            "items": 1 + self._dice.getrandbits(2),
            "total": round(self._dice.uniform(20, 900), 2),
        }
        contact = {"id": who.user_id, "name": who.name, "phone": f"+{who.wa_id}"}
        data = {"text": text.format(**facts), "contact": contact, **facts}
        return {"type": type_, "timestamp": now_s, "data": data}


PLAYS: Mapping[str, Callable[[Dice], WhatsAppPlay | StandardPlay]] = {
    "whatsapp": WhatsAppPlay,
    "standard": StandardPlay,
}
"""What can be simulated, by the provider's name."""
