"""Given what a device was sent and said, when the ledger is asked, it accounts for all of it."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from eventstore.codec import encode
from eventstore.events import (
    ClientConnected,
    DeliveryAcknowledged,
    WebhookReceived,
)
from projections.ledger import LEDGER, Account, list_accounts
from tests.projections.history import (
    Log,
    ask,
    device,
    fold_into,
    folded,
    new_store,
    said,
    the,
    told,
)
from tests.projections.honest import OUTCOMES, Server

AB = frozenset({"a", "b"})
INBOXES = ("a", "b", "c")
PHONE = ("ann", "phone")
DEVICES = (PHONE, ("ann", "desk"), ("jwt", "phone"))


def terms(row: Account) -> dict[str, int]:
    """The equation, without the zeros."""
    named = {name: getattr(row, name) for name in ("addressed", *OUTCOMES, "residue")}
    return {name: number for name, number in named.items() if number}


def account(server: Server, whose: tuple[str, str] = PHONE) -> dict[str, int]:
    """What the ledger says of a device, folded from the first event."""
    return terms(the(folded(server.log.events), list_accounts(whose)))


def server_with_ann(*messages: str, inboxes: frozenset[str] = AB) -> Server:
    """Ann's phone is connected, and messages came to these inboxes since."""
    server = Server()
    server.member("ann", "member", inboxes)
    server.connect(PHONE, inboxes, None)
    for inbox in messages:
        server.message(inbox)
    return server


# --- one after the other -----------------------------------------------------------------------


def test_what_comes_to_the_inboxes_of_a_device_is_addressed_to_it_and_outstanding() -> None:
    """From its first session on; what came before, and what comes to other inboxes, is not."""
    server = Server()
    server.message("a")
    server.connect(PHONE, frozenset({"a"}), None)
    for inbox in ("a", "b", "a"):
        server.message(inbox)
    assert account(server) == {"addressed": 2, "outstanding": 2}


def test_raw_webhooks_are_addressed_to_nobody_and_erased_messages_still_are() -> None:
    """Members see tombstones, and the event that says so, but no webhooks."""
    server = server_with_ann("a")
    server.log.add(told(None, WebhookReceived("whatsapp", b"{}")))
    [message] = server.sent(PHONE)
    server.log.redact(message)
    [row] = ask(folded(server.log.events), list_accounts())
    assert terms(row) == {"addressed": 2, "outstanding": 2}
    assert row.connected


def test_each_outcome_is_counted_by_its_own_events() -> None:
    """Acknowledged, parked, skipped, and the rest outstanding."""
    server = server_with_ann("a", "b", "a", "b", "a")
    first, second, third, *_ = server.sent(PHONE)
    server.park(PHONE, second)
    server.acknowledge(PHONE, third)
    assert account(server) == {
        "addressed": 5, "acknowledged": 2, "parked": 1, "outstanding": 2
    }  # fmt: skip
    server.connect(PHONE, AB, third, skip=1)
    assert account(server)["skipped"] == 1
    assert first < second


def test_a_cursor_beyond_the_floor_acknowledges_and_one_below_it_counts_nothing_twice() -> None:
    """The opening's own record says how many."""
    server = server_with_ann("a", "a", "a")
    middle = server.sent(PHONE)[1]
    server.connect(PHONE, AB, middle)
    assert account(server) == {"addressed": 3, "acknowledged": 2, "outstanding": 1}
    server.connect(PHONE, AB, 0)
    server.acknowledge(PHONE, server.head)
    assert account(server) == {"addressed": 3, "acknowledged": 3}


def test_a_void_cursor_passes_over_what_was_outstanding() -> None:
    """The device starts over at the head: those before it are skipped, by a record of its own."""
    server = server_with_ann("a", "a")
    server.connect(PHONE, AB, None)
    server.message("a")
    assert account(server) == {"addressed": 3, "skipped": 2, "outstanding": 1}


def test_what_a_user_may_not_see_any_more_is_withdrawn_when_the_log_says_so() -> None:
    """For a device that is away: at that moment, and nothing of that inbox is addressed since."""
    server = server_with_ann("a", "b")
    server.disconnect(PHONE)
    server.message("b")
    server.leave("ann", "b")
    server.message("b")
    assert account(server) == {"addressed": 3, "outstanding": 1, "withdrawn": 2}


def test_an_open_session_is_addressed_its_inboxes_to_its_end() -> None:
    """What it acknowledges in its last moment it had been sent; only the rest is withdrawn."""
    server = server_with_ann("b", "b")
    server.leave("ann", "b")
    assert account(server) == {"addressed": 2, "outstanding": 2}
    server.acknowledge(PHONE, server.sent(PHONE)[0])
    server.disconnect(PHONE)
    assert account(server) == {"addressed": 2, "acknowledged": 1, "withdrawn": 1}


def test_a_session_lost_with_its_server_is_over_when_another_server_starts() -> None:
    """No disconnect was recorded; what the user has lost meanwhile is withdrawn then."""
    server = server_with_ann("b")
    server.leave("ann", None)
    server.crash()
    assert account(server) == {"addressed": 1, "withdrawn": 1}
    assert not the(folded(server.log.events), list_accounts()).connected


def test_a_gained_inbox_is_addressed_from_the_ack_floor_on_by_the_next_session() -> None:
    """Not by the membership alone: nobody was given it yet."""
    server = server_with_ann("a", "b", inboxes=frozenset({"a"}))
    server.acknowledge(PHONE, server.sent(PHONE)[0])
    server.message("b")
    server.member("ann", "member", AB)
    assert account(server) == {"addressed": 1, "acknowledged": 1}
    server.connect(PHONE, AB, server.book.devices[PHONE].floor)
    assert account(server) == {"addressed": 3, "acknowledged": 1, "outstanding": 2}


def test_what_was_parked_is_not_addressed_again_with_its_inbox() -> None:
    """It has its outcome, whether the user may see it or not."""
    server = server_with_ann("b", "b", "b")
    server.park(PHONE, server.sent(PHONE)[1])
    server.disconnect(PHONE)
    server.leave("ann", "b")
    assert account(server) == {"addressed": 3, "parked": 1, "withdrawn": 2}
    server.member("ann", "member", AB)
    server.connect(PHONE, AB, server.book.devices[PHONE].floor)
    server.acknowledge(PHONE, server.head)
    assert account(server) == {
        "addressed": 5, "acknowledged": 2, "parked": 1, "withdrawn": 2
    }  # fmt: skip


def test_what_is_delivered_again_is_outstanding_until_it_is_handled_or_put_aside_again() -> None:
    """Acknowledged one by one, wherever the floor is by then."""
    server = server_with_ann("a", "a", "a")
    for position in server.sent(PHONE):
        server.park(PHONE, position)
    server.ask_again(PHONE, *server.sent(PHONE), 999)
    assert account(server) == {"addressed": 3, "outstanding": 3}
    first, second, _ = server.sent(PHONE)
    server.acknowledge_again(PHONE, first)
    server.park(PHONE, second)
    server.acknowledge(PHONE, server.head)
    assert account(server) == {
        "addressed": 3, "acknowledged": 1, "parked": 1, "outstanding": 1
    }  # fmt: skip


def test_what_was_withdrawn_while_it_was_delivered_again_may_still_be_handled() -> None:
    """Then it was addressed once more: one outcome for each time."""
    server = server_with_ann("a", "a")
    first, second = server.sent(PHONE)
    for position in (first, second):
        server.park(PHONE, position)
    server.ask_again(PHONE, first, second)
    server.connect(PHONE, frozenset(), first)
    assert account(server) == {"addressed": 2, "withdrawn": 2}
    server.acknowledge_again(PHONE, first)
    server.park(PHONE, second)
    assert account(server) == {"addressed": 4, "acknowledged": 1, "parked": 1, "withdrawn": 2}


def test_nothing_waits_for_a_device_that_expired_until_it_comes_back() -> None:
    """What waited is skipped; what comes meanwhile is addressed when it connects."""
    server = server_with_ann("a", "b")
    server.disconnect(PHONE)
    server.expire(PHONE, AB)
    server.message("a")
    assert account(server) == {"addressed": 2, "skipped": 2}
    server.connect(PHONE, AB, server.book.devices[PHONE].floor)
    assert account(server) == {"addressed": 3, "skipped": 2, "outstanding": 1}


def test_a_device_whose_sessions_never_said_their_inboxes_has_no_account() -> None:
    """Older releases' did not, and changed them midway: nothing true can be said of those."""
    before = [
        device(ClientConnected("s", "b", "fresh", 0)), said("c", "m"),
        device(DeliveryAcknowledged("s", 0, 2, 1)),
    ]  # fmt: skip
    log = Log(*before)
    assert ask(folded(log.events), list_accounts()) == []
    log.add(said("c", "n"), device(ClientConnected("t", "b", "resumed", 2, None, ("a",))))
    [row] = ask(folded(log.events), list_accounts())
    assert terms(row) == {"addressed": 1, "outstanding": 1}


def test_accounts_come_in_pages_and_one_by_one() -> None:
    """In order of user and device."""
    server = Server()
    for user, name in (("bob", "a/b"), ("ann", "phone"), ("ann", "desk")):
        server.connect((user, name), AB, None)
    server.message("a")
    store = folded(server.log.events)
    names = [(row.user, row.device) for row in ask(store, list_accounts())]
    assert names == [("ann", "desk"), ("ann", "phone"), ("bob", "a/b")]
    assert [r.device for r in ask(store, list_accounts(after=names[0], limit=1))] == ["phone"]
    assert the(store, list_accounts(("bob", "a/b"))).addressed == 1
    assert ask(store, list_accounts(("bob", "none"))) == []


# --- faults show -------------------------------------------------------------------------------


def test_one_ack_too_many_and_one_too_few_leave_a_residue() -> None:
    """Each term is counted by itself, so a wrong count finds no other term to hide in."""
    for fault in (1, -1):
        server = server_with_ann("a", "a", "a")
        server.acknowledge(PHONE, server.head)
        *before, last = server.log.events
        counted = DeliveryAcknowledged("s1", 2, last.position, 3 + fault)
        store = folded([*before, evolve(last, data=encode(counted))])
        assert the(store, list_accounts()).residue == -fault


def test_a_range_that_was_left_out_leaves_a_residue() -> None:
    """The floor passed over events of which nobody said what became of them."""
    server = server_with_ann("a", "a", "a")
    first, _, third = server.sent(PHONE)
    server.acknowledge(PHONE, first)
    server.log.add(device(DeliveryAcknowledged("s1", third - 1, third, 1)))
    assert account(server)["residue"] == 1


# --- in any order ------------------------------------------------------------------------------


class LedgerMachine(RuleBasedStateMachine):
    """Devices, inboxes and rights in any order, against a book with an entry for each event."""

    def __init__(self) -> None:
        super().__init__()
        self.server = Server()
        self.store = new_store([LEDGER])

    def _devices(self, *, connected: bool | None = None) -> list[tuple[str, str]]:
        return [
            whose
            for whose, each in self.server.book.devices.items()
            if connected is None or (each.session is not None) == connected
        ]

    def _aside(self, data: st.DataObject, whose: tuple[str, str]) -> list[int]:
        aside = sorted(self.server.book.devices[whose].aside)
        return sorted(data.draw(st.sets(st.sampled_from(aside), min_size=1))) if aside else []

    @initialize()
    def begin(self) -> None:
        """A device is there, and has something to handle."""
        self.server.connect(PHONE, AB, None)
        self.message(["a", "b", "a", "b"])

    @rule(inboxes=st.lists(st.sampled_from(INBOXES), min_size=1, max_size=4))
    def message(self, inboxes: list[str]) -> None:
        """Contacts write."""
        for inbox in inboxes:
            self.server.message(inbox)

    @rule(
        role=st.sampled_from(["member", "member", "member", "auditor"]),
        inboxes=st.sets(st.sampled_from(INBOXES)),
    )
    def member(self, role: Any, inboxes: set[str]) -> None:
        """Rights are given, and so taken."""
        self.server.member("ann", role, sorted(inboxes))

    @rule(user=st.sampled_from(["ann", "jwt"]), inbox=st.sampled_from([*INBOXES, None]))
    def leave(self, user: str, inbox: str | None) -> None:
        """Or taken alone, also from one of whom the log knew nothing."""
        self.server.leave(user, inbox)

    @rule(
        whose=st.sampled_from(DEVICES),
        inboxes=st.frozensets(st.sampled_from(INBOXES)),
        cursor=st.none() | st.integers(0, 40),
        skip=st.sampled_from([0, 0, 0, 2, 9]),
    )
    def connect(
        self, whose: tuple[str, str], inboxes: frozenset[str], cursor: int | None, skip: int
    ) -> None:
        """With any cursor, and any inboxes: the gate may be a moment behind the log."""
        self.server.connect(whose, inboxes, cursor, skip)

    @precondition(lambda self: self._devices(connected=True))
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        """Up to something that was sent."""
        whose = data.draw(st.sampled_from(self._devices(connected=True)))
        if sent := self.server.sent(whose):
            self.server.acknowledge(whose, data.draw(st.sampled_from(sent)))

    @precondition(lambda self: self._devices(connected=True))
    @rule(data=st.data(), times=st.integers(1, 2))
    def park(self, data: st.DataObject, times: int) -> None:
        """Something that was sent, whatever became of it before."""
        whose = data.draw(st.sampled_from(self._devices(connected=True)))
        if sent := self.server.sent(whose):
            for _ in range(times):
                self.server.park(whose, data.draw(st.sampled_from(sent)))

    @precondition(lambda self: self._devices())
    @rule(data=st.data(), junk=st.sampled_from([(), (7,)]))
    def ask_again(self, data: st.DataObject, junk: tuple[int, ...]) -> None:
        """For what was parked, and for what was not."""
        whose = data.draw(st.sampled_from(self._devices()))
        self.server.ask_again(whose, *self._aside(data, whose), *junk)

    @precondition(lambda self: self._devices(connected=True))
    @rule(data=st.data())
    def acknowledge_again(self, data: st.DataObject) -> None:
        """What was delivered again, or is said to have been."""
        whose = data.draw(st.sampled_from(self._devices(connected=True)))
        self.server.acknowledge_again(whose, *self._aside(data, whose))

    @precondition(lambda self: self._devices(connected=True))
    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        """A session ends."""
        self.server.disconnect(data.draw(st.sampled_from(self._devices(connected=True))))

    @rule()
    def crash(self) -> None:
        """All end, and nobody records it."""
        self.server.crash()

    @precondition(lambda self: self._devices(connected=False))
    @rule(data=st.data(), inboxes=st.none() | st.frozensets(st.sampled_from(INBOXES)))
    def expire(self, data: st.DataObject, inboxes: frozenset[str] | None) -> None:
        """A device stays away for good."""
        whose = data.draw(st.sampled_from(self._devices(connected=False)))
        self.server.expire(whose, inboxes)

    @invariant()
    def balanced(self) -> None:
        """Residue 0 at each position, and now each term is what the book says."""
        for event in self.server.log.events[self.store.position :]:
            self.store.fold([event], (LEDGER.name,))
            assert not [row for row in ask(self.store, list_accounts()) if row.residue]
        rows = {(row.user, row.device): row for row in ask(self.store, list_accounts())}
        assert {whose: row.terms for whose, row in rows.items()} == {
            whose: each.totals for whose, each in self.server.book.devices.items()
        }
        for whose, each in self.server.book.devices.items():
            row = rows[whose]
            assert (row.ack_floor, row.connected) == (each.floor, each.session is not None)

    def teardown(self) -> None:
        """Folded again, in pages of other sizes, the rows are those that were folded live."""
        events = self.server.log.events
        if events:
            again = fold_into(new_store([LEDGER]), events, [1, 5, 2, 30])
            assert again.digests() == self.store.digests()


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
