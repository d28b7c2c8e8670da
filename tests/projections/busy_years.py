"""A long history as a house has it: many conversations, few of them busy, and devices beside them.

Seeded, so that every run asks about the same past. A fact costs some microseconds, for millions.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from eventstore.draft import Draft
from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    Contact,
    ContactAliased,
    ConversationRead,
    DeliveryAcknowledged,
    DeliveryParked,
    DeliveryReplayAcknowledged,
    DeliveryReplayRequested,
    Event,
    HeartbeatAnswered,
    HeartbeatMissed,
    MessageEdited,
    MessageReceived,
    MessageStatusChanged,
    Reaction,
    ServerStarted,
    Text,
)

INBOXES = ("support", "sales", "billing", "shop")
WORDS = ("bom", "dia", "o pedido", "chegou", "ontem", "está certo", "obrigada", "a nota", "fiscal")


class House:
    """What goes on in it, an event at a time; ``position`` is that of the last one.

    ``talk`` is which part of it are messages; two thirds as much is said about them.
    """

    def __init__(self, seed: int, *, conversations: int, devices: int, talk: float = 0.28) -> None:
        self.position = 0
        self._random = Random(seed)
        self._conversations = conversations
        self._talk = talk
        self._devices = [(f"user{number // 2}", f"device{number % 2}") for number in range(devices)]
        self._sessions: dict[tuple[str, str], str] = {}
        self._sent: list[tuple[str, str, str]] = []
        self._parked: list[tuple[tuple[str, str], int]] = []

    def drafts(self, count: int) -> Iterator[Draft]:
        """The next facts."""
        for _ in range(count):
            self.position += 1
            yield self._next()

    def _next(self) -> Draft:
        if self.position == 1:
            return Draft("system", ServerStarted("boot", "1"))
        chance = self._random.random()
        if chance < self._talk or not self._sent:
            return self._message()
        if chance < self._talk * 5 / 3:
            return self._about(*self._random.choice(self._sent[-2_000:]))
        return self._of_device(self._random.choice(self._devices))

    def _conversation(self) -> tuple[str, str]:
        """Some are written to much more than others; each has its inbox."""
        number = int(self._conversations * self._random.random() ** 3)
        return INBOXES[number % len(INBOXES)], f"5511{900_000_000 + number}"

    def _message(self) -> Draft:
        random = self._random
        inbox, conversation = self._conversation()
        id_ = f"wamid.{self.position:012d}"
        contact = Contact(conversation, f"Contact {conversation[-6:]}", conversation)
        text = " ".join(random.choices(WORDS, k=random.randrange(2, 12)))
        direction = "outbound" if random.random() < 0.5 else "inbound"
        if random.random() < 0.03 and self._sent:
            content: Text | Reaction = Reaction(random.choice(self._sent[-50:])[2], "👍")
        else:
            content = Text(text)
        self._sent.append((inbox, conversation, id_))
        del self._sent[:-4_000]
        event = MessageReceived(id_, contact, content, direction)  # type: ignore[arg-type]
        return Draft(f"inbox:{inbox}", event, conversation)

    def _about(self, inbox: str, conversation: str, id_: str) -> Draft:
        chance = self._random.random()
        event: Event
        if chance < 0.80:
            event = MessageStatusChanged(id_, self._random.choice(("sent", "delivered", "read")))
        elif chance < 0.96:
            event = ConversationRead(self.position - 1, "user1")
        elif chance < 0.999:
            event = MessageEdited(id_, Text("outra coisa"))
        else:
            event = ContactAliased(self._conversation()[1], "changed_number")
        return Draft(f"inbox:{inbox}", event, conversation)

    def _of_device(self, whose: tuple[str, str]) -> Draft:
        return Draft(f"client:{whose[0]}/{whose[1]}", self._device_event(whose))

    def _device_event(self, whose: tuple[str, str]) -> Event:
        random, position = self._random, self.position
        if whose not in self._sessions:
            session = self._sessions[whose] = f"{random.getrandbits(64):016x}"
            return ClientConnected(session, "boot", "resumed", position - 1, None, INBOXES)
        session, chance = self._sessions[whose], random.random()
        if chance < 0.50:
            return DeliveryAcknowledged(session, max(0, position - 50), position - 1, 20)
        if chance < 0.93:
            return HeartbeatAnswered(session, random.random() * 200)
        if chance < 0.94:
            return HeartbeatMissed(session, 1)
        if chance < 0.96:
            return self._put_aside(whose, session)
        del self._sessions[whose]
        return ClientDisconnected(session, 1001, "going away")

    def _put_aside(self, whose: tuple[str, str], session: str) -> Event:
        position, random = self.position, self._random
        mine = [at for owner, at in self._parked[-60:] if owner == whose]
        if not mine or random.random() < 0.6:
            self._parked.append((whose, position - 1))
            return DeliveryParked(session, position - 1, "unreadable")
        if random.random() < 0.5:
            return DeliveryReplayRequested((mine[0],), "admin")
        return DeliveryReplayAcknowledged(session, position - 1, (mine[0],))
