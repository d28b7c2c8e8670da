"""What became of each message, told by the log, the provider and the clients' acks."""

from __future__ import annotations

from itertools import count

from attrs import define, field

from api.demo.journey import Journey, Left, Repeated, Returned, Travelled
from eventstore.codec import encode
from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    Contact,
    ContactAliased,
    Event,
    MessageReceived,
    MessageStatusChanged,
    RecordedEvent,
    Text,
    WebhookReceived,
)

ANA, BRUNO = "ana/laptop", "bruno/phone"
MS = 1_000


@define
class World:
    """A log that grows by hand: one event every ten milliseconds."""

    journey: Journey = field(factory=lambda: Journey(frozenset({ANA, BRUNO})))
    now: int = 0
    _positions: count[int] = field(factory=lambda: count(1))

    def commit(self, stream: str, event: Event) -> int:
        """Record it now; its position."""
        self.now += 10 * MS
        position = next(self._positions)
        conversation = "c_1" if stream.startswith("inbox:") else None
        recorded = RecordedEvent(
            position, self.now, stream, conversation, event.type, event.version,
            encode(event), None, None, bytes(32),
        )  # fmt: skip
        self.journey.committed([recorded])
        return position

    def message(self, text: str = "Oi") -> int:
        """Zoe writes."""
        contact = Contact("US.1", name="Zoe")
        return self.commit("inbox:support", MessageReceived("m1", contact, Text(text)))

    def connect(self, name: str, session: str, position: int = 0) -> None:
        """A device opens a session with everything up to a position; recorded 10 ms later."""
        self.journey.opened(name, self.now)
        event = ClientConnected(session, "boot", "resumed", position)
        self.commit(f"client:{name}", event)

    def disconnect(self, name: str, session: str) -> None:
        """A session ends."""
        self.commit(f"client:{name}", ClientDisconnected(session, 1006, ""))

    def lines(self, later_us: int = 0) -> list[object]:
        """What can be shown so much later."""
        return list(self.journey.lines(self.now + later_us))


def both_connected() -> World:
    """The usual beginning."""
    world = World()
    world.connect(ANA, "s1")
    world.connect(BRUNO, "s2")
    return world


def test_a_message_is_shown_once_it_is_stored_and_acknowledged_by_all() -> None:
    """Not before, and with the times that were measured; the slowest device counts."""
    world = both_connected()
    position = world.message()
    assert world.lines() == []
    world.journey.answered([position], 2.1, duplicate=False)
    world.journey.acknowledged(ANA, position, world.now + 3 * MS)
    assert world.lines() == []
    world.journey.acknowledged(BRUNO, position, world.now + 8 * MS)
    [line] = world.lines()
    assert isinstance(line, Travelled)
    assert (line.contact, line.said, line.stored_ms, line.acked_ms) == ("Zoe", "Oi", 2.1, 8.0)
    assert (line.acks, line.devices) == (2, 2)
    assert world.journey.settled
    assert world.lines() == []


def test_lines_come_in_the_order_of_the_log() -> None:
    """A message that is ready waits for one before it that is not."""
    world = both_connected()
    first, second = world.message("one"), world.message("two")
    world.journey.answered([second], 1.0, duplicate=False)
    world.journey.acknowledged(ANA, second, world.now)
    world.journey.acknowledged(BRUNO, second, world.now)
    assert world.lines() == []
    world.journey.answered([first], 1.0, duplicate=False)
    assert [line.said for line in world.lines() if isinstance(line, Travelled)] == ["one", "two"]


def test_a_line_does_not_wait_for_ever() -> None:
    """What is still missing after two seconds is shown as missing."""
    world = both_connected()
    world.message()
    [line] = world.lines(later_us=2_000_000)
    assert isinstance(line, Travelled)
    assert (line.stored_ms, line.acked_ms, line.acks) == (None, None, 0)


def test_an_absent_device_is_not_waited_for_and_its_return_is_told() -> None:
    """One ack of two; then how long it was away, what it missed, and how soon it had it."""
    world = both_connected()
    world.disconnect(BRUNO, "s2")
    left_at = world.now
    position = world.message()
    world.journey.answered([position], 1.0, duplicate=False)
    world.journey.acknowledged(ANA, position, world.now)
    gone, line = world.lines()
    assert gone == Left(left_at, BRUNO)
    assert isinstance(line, Travelled)
    assert (line.acks, line.devices) == (1, 2)
    world.connect(BRUNO, "s3", position - 1)
    assert world.lines() == []
    world.journey.acknowledged(BRUNO, position, world.now + 4 * MS)
    opened_at = world.now - 10 * MS
    assert world.lines() == [Returned(opened_at, BRUNO, opened_at - left_at, 1, 14.0)]


def test_a_catch_up_that_outruns_its_record_is_told_all_the_same() -> None:
    """Nothing waits for the record of a connection: the ack over it may be there first."""
    world = both_connected()
    world.disconnect(BRUNO, "s2")
    position = world.message()
    world.lines(later_us=2_000_000)
    opened_at = world.now + 1 * MS
    world.journey.opened(BRUNO, opened_at)
    world.journey.acknowledged(BRUNO, position, opened_at + 3 * MS)
    assert world.lines() == []
    event = ClientConnected("s3", "boot", "resumed", position - 1)
    world.commit(f"client:{BRUNO}", event)
    assert world.lines() == [Returned(opened_at, BRUNO, 11 * MS, 1, 3.0)]
    assert world.journey.settled


def test_a_device_that_missed_nothing_is_back_at_once() -> None:
    """There is nothing to catch up on, and none is claimed."""
    world = both_connected()
    position = world.message()
    world.lines(later_us=2_000_000)
    world.disconnect(BRUNO, "s2")
    world.connect(BRUNO, "s3", position)
    assert world.lines()[-1] == Returned(world.now - 10 * MS, BRUNO, 0, 0, None)


def test_the_end_of_a_replaced_connection_is_no_absence() -> None:
    """The new session was there before the old one's end was recorded."""
    world = both_connected()
    world.connect(BRUNO, "s3")
    world.disconnect(BRUNO, "s2")
    assert world.lines() == []


def test_a_repeated_webhook_is_one_line_with_its_first_position() -> None:
    """However many receipts it has; and it counts as one duplicate."""
    world = both_connected()
    alias = world.commit("inbox:support", ContactAliased("c_2", "user_id"))
    position = world.message()
    world.lines(later_us=2_000_000)
    world.journey.answered([alias, position], 1.5, duplicate=True)
    assert world.lines() == [Repeated(position, "Zoe", 1.5)]
    assert world.journey.duplicates == 1


def test_only_what_a_spectator_cares_for_has_a_line() -> None:
    """Raw webhooks, aliases and strangers' devices have none; what members see is counted."""
    world = both_connected()
    world.commit("inbox:support", WebhookReceived("whatsapp", b"{}"))
    alias = world.commit("inbox:support", ContactAliased("c_2", "user_id"))
    world.connect("you/browser", "s9")
    world.disconnect("you/browser", "s9")
    assert world.lines(later_us=2_000_000) == []
    assert world.journey.visible == [alias]


def test_a_status_is_told_under_the_name_of_its_conversation() -> None:
    """A status holds no name; the conversation's last message does."""
    world = both_connected()
    world.message()
    world.commit("inbox:support", MessageStatusChanged("m9", "read"))
    *_, line = world.lines(later_us=3_000_000)
    assert isinstance(line, Travelled)
    assert (line.contact, line.said) == ("Zoe", "read")
    assert world.journey.messages == 1
