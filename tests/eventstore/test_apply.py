"""*Apply* is a function: gapless, increasing, chained, once per key, however it is cut up."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from eventstore import chain
from eventstore.apply import Applied, Head, Known, Ordered, apply, keys_of, keys_of_repeats, order
from eventstore.codec import encode
from eventstore.draft import Draft, idempotency_key
from eventstore.events import (
    ConversationRead,
    Event,
    HeartbeatMissed,
    WebhookDuplicated,
    WebhookReceived,
)
from eventstore.recheck import follow

INBOX = "inbox:support"
_events: st.SearchStrategy[Event] = st.one_of(
    st.builds(ConversationRead, st.integers(0, 3), st.just("ana")),
    st.builds(WebhookReceived, st.just("standard"), st.binary(max_size=2)),
    st.builds(HeartbeatMissed, st.just("s1"), st.integers(1, 3)),
)
_keys = st.none() | st.sampled_from([idempotency_key("support", "m", name) for name in "abcd"])


@st.composite
def _appends(draw: st.DrawFn) -> list[Ordered]:
    appends = []
    for _ in range(draw(st.integers(0, 8))):
        drafts = []
        for index in range(draw(st.integers(1, 4))):
            cause = draw(st.none() | st.integers(0, index - 1)) if index else None
            drafts.append(Draft(INBOX, draw(_events), "c_1", draw(_keys), cause=cause))
        entropy = draw(st.binary(min_size=16 * len(drafts), max_size=16 * len(drafts)))
        now = draw(st.integers(0, 50))
        appends.append(order(drafts, [encode(draft.event) for draft in drafts], now, entropy))
    return appends


def _ordered(*drafts: Draft, now: int = 1) -> Ordered:
    salts = bytes(range(16)) * len(drafts)
    return order(drafts, [encode(draft.event) for draft in drafts], now, salts)


def _read(position: int, key: bytes | None = None) -> Draft:
    return Draft(INBOX, ConversationRead(position, "ana"), "c_1", key)


class _Log:
    """What the disk would hold: applies groups, and knows the keys stored before each."""

    def __init__(self) -> None:
        self.head = Head()
        self.applied: list[Applied] = []
        self._stored: dict[bytes, Known] = {}

    def apply(self, appends: Sequence[Ordered]) -> Applied:
        known = self._lookup(keys_of(appends))
        known |= self._lookup(keys_of_repeats(appends, known))
        applied = apply(self.head, appends, known)
        rows = {row[0]: row for row in applied.rows}
        for key, position in applied.keys:
            assert key not in self._stored
            row = rows[position]
            self._stored[key] = Known(position, row[11], row[7], row[8])
        self.head = applied.head
        self.applied.append(applied)
        return applied

    def _lookup(self, keys: Sequence[bytes]) -> dict[bytes, Known]:
        return {key: self._stored[key] for key in keys if key in self._stored}


@given(_appends())
def test_positions_are_gapless_times_increase_and_the_chain_links(appends: list[Ordered]) -> None:
    """G4: whatever is appended, the rows continue the log link by link."""
    applied = _Log().apply(appends)
    rows = [
        (event, row[7], row[8]) for event, row in zip(applied.events, applied.rows, strict=True)
    ]
    assert follow(Head(), rows) == applied.head
    assert [event.position for event in applied.events] == list(range(1, len(rows) + 1))


@given(_appends(), st.data())
def test_groups_may_be_cut_anywhere(appends: list[Ordered], data: st.DataObject) -> None:
    """The same order gives the same bytes and receipts, however many transactions it takes."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(appends)), max_size=4)))
    whole, parts = _Log(), _Log()
    whole.apply(appends)
    for start, end in zip([0, *cuts], [*cuts, len(appends)], strict=True):
        parts.apply(appends[start:end])
    for field in ("rows", "keys", "receipts", "events"):
        together = [item for applied in parts.applied for item in getattr(applied, field)]
        assert together == getattr(whole.applied[0], field)


@given(_appends())
def test_a_key_is_recorded_once(appends: list[Ordered]) -> None:
    """G2: every draft of a key gets the first one's receipt, and one row bears the key."""
    applied = _Log().apply(appends)
    first: dict[bytes, int] = {}
    for append, receipts in zip(appends, applied.receipts, strict=True):
        for draft, receipt in zip(append.drafts, receipts, strict=True):
            if draft.key is None:
                assert not receipt.duplicate
                continue
            assert receipt.duplicate == (draft.key in first)
            assert receipt.position == first.setdefault(draft.key, receipt.position)
            assert receipt.hash == applied.events[receipt.position - 1].hash


def test_time_goes_on_when_the_clock_goes_back() -> None:
    """G17: recorded_at is the clock's, or one more than the last, whichever is later."""
    applied = _Log().apply([_ordered(_read(1), now=100), _ordered(_read(2), _read(3), now=5)])
    assert [event.recorded_at for event in applied.events] == [100, 101, 102]


def test_a_repeat_with_another_content_is_noted_once() -> None:
    """G2: the first content stands; each other content that came is one webhook.duplicated."""
    key, log = idempotency_key("support", "m", "1"), _Log()
    log.apply([_ordered(_read(1, key))])
    first = log.apply([_ordered(_read(2, key), _read(2, key)), _ordered(_read(1, key))])
    again = log.apply([_ordered(_read(2, key))])
    assert [event.type for event in first.events] == [WebhookDuplicated.type]
    assert first.events[0].data == encode(WebhookDuplicated(1))
    assert again.events == []
    assert [r.position for group in first.receipts for r in group] == [1, 1, 1]


def test_a_raw_webhook_that_differs_is_no_dispute() -> None:
    """Raw webhooks differ in their headers at each try: only the derived events are compared."""
    key = idempotency_key("support", "webhook", "1")
    drafts = [Draft(INBOX, WebhookReceived("standard", body), key=key) for body in (b"a", b"b")]
    assert len(_Log().apply([_ordered(*drafts)]).events) == 1


def test_a_redacted_original_disputes_nothing() -> None:
    """Once its salt is gone, nobody can tell whether a repeat differs, and nothing is noted."""
    key = idempotency_key("support", "m", "1")
    known = {key: Known(7, b"h" * 32, b"d" * 32, None)}
    applied = apply(Head(9, 9, b"p" * 32), [_ordered(_read(1, key))], known)
    assert applied.events == []
    assert applied.receipts[0][0].position == 7


def test_a_cause_is_the_position_its_draft_got() -> None:
    """Also when that draft was a repeat: the first event is then the cause."""
    key, log = idempotency_key("support", "webhook", "1"), _Log()
    webhook = Draft(INBOX, WebhookReceived("standard", b"{}"), key=key)
    log.apply([_ordered(_read(1)), _ordered(webhook)])
    derived = Draft(INBOX, ConversationRead(5, "ana"), "c_1", cause=0)
    applied = log.apply([_ordered(webhook, derived)])
    assert [event.causation_id for event in applied.events] == [2]


def test_salts_are_not_shared() -> None:
    """Each draft has its own sixteen bytes of the entropy."""
    entropy = bytes(range(48))
    ordered = order([_read(1), _read(2), _read(3)], [b"", b"", b""], 1, entropy)
    assert ordered.salts == [entropy[:16], entropy[16:32], entropy[32:]]


def test_the_first_event_follows_genesis() -> None:
    """The chain begins at 32 zero bytes."""
    row = _Log().apply([_ordered(_read(1))]).rows[0]
    envelope = chain.header(*row[:6], row[9], row[10])
    assert row[11] == chain.link(chain.GENESIS, envelope, row[7])
