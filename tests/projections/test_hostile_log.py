"""G13: whatever the log holds, folding it again gives the rows that folding it live gave."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from eventstore.codec import decode_recorded, encode
from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    Contact,
    ContactAliased,
    ConversationRead,
    DeliveryAcknowledged,
    DeliveryParked,
    DeviceExpired,
    HeartbeatAnswered,
    InboxCreated,
    Media,
    MemberAdded,
    MemberRemoved,
    MessageEdited,
    MessageReceived,
    MessageRedacted,
    MessageRevoked,
    MessageStatusChanged,
    QueueTrimmed,
    Reaction,
    RecordedEvent,
    ServerStarted,
    ServerStopped,
    Text,
    TokenIssued,
    TokenRevoked,
)
from projections import PROJECTIONS
from projections.conversations import conversations_touched, get_conversation, list_conversations
from projections.deliveries import device_of
from projections.ledger import list_accounts
from projections.messages import list_messages
from tests.projections.history import (
    Log,
    ask,
    device,
    fold_into,
    folded,
    new_store,
    system,
    told,
)
from tests.projections.honest import Book
from tests.projections.hostile import CONVERSATIONS, INBOXES, facts, inbox_facts

BOTH = frozenset(INBOXES)
ERASABLE = {
    cls.type for cls in (MessageReceived, MessageStatusChanged, MessageEdited, MessageRevoked)
}
splits = st.lists(st.integers(1, 5), max_size=12)


@st.composite
def logs(draw: st.DrawFn) -> tuple[Log, dict[str, str]]:
    """A hostile log with redactions, and the digests of a store that followed it all along."""
    log, live = Log(), new_store()
    for fact in draw(st.lists(inbox_facts | facts, max_size=30)):
        log.add(fact)
        if draw(st.integers(0, 2)):
            continue
        if draw(st.booleans()):
            fold_into(live, log.events, draw(splits))
        erasable = [
            event.position
            for event in log.events
            if event.stream == fact.stream and event.type in ERASABLE
        ]
        if erasable:
            log.redact(*draw(st.lists(st.sampled_from(erasable), min_size=1, max_size=3)))
    return log, fold_into(live, log.events, draw(splits)).digests()


@given(logs(), splits)
@settings(max_examples=100, deadline=None)
def test_a_rebuild_has_the_live_digest_whatever_the_log_and_the_pages(
    made: tuple[Log, dict[str, str]], sizes: list[int]
) -> None:
    """Redacted, reordered, repeated, in pages of any size: the same digest for each projection."""
    log, live = made
    assert folded(log.events, sizes).digests() == live


@given(st.lists(inbox_facts, max_size=40), st.integers(0, 40))
@settings(max_examples=60, deadline=None)
def test_each_projection_can_be_folded_alone(history: list, after: int) -> None:
    """No projection's rows depend on another's, so that one can be rebuilt without the others."""
    events = Log(*history).events
    together = folded(events).digests()
    for projection in PROJECTIONS:
        alone = fold_into(new_store([projection]), events, [after]).digests()
        assert alone == {projection.name: together[projection.name]}


@given(logs())
@settings(max_examples=60, deadline=None)
def test_the_list_counts_what_a_plain_replay_counts(made: tuple[Log, dict[str, str]]) -> None:
    """Messages, unread and last position agree with a few lines of Python, joins and all."""
    log, _ = made
    store = folded(log.events)
    listed = {
        (row.inbox, row.id): (row.messages, row.unread, row.last_position)
        for row in ask(store, list_conversations(BOTH, limit=99))
    }
    assert listed == replayed(log)
    for (inbox, conversation), (messages, _, last) in listed.items():
        shown = ask(store, list_messages(frozenset({inbox}), conversation, limit=99))
        assert (len(shown), shown[0].position) == (messages, last)


@given(logs())
@settings(max_examples=100, deadline=None)
def test_the_ledger_accounts_for_everything_whatever_the_log(
    made: tuple[Log, dict[str, str]],
) -> None:
    """Wild ranges, strangers, sessions of nobody: if the counts are true, nothing is left over.

    And each term is what a book with an entry for each device and event says.
    """
    log, _ = made
    book, events = Book(), []
    for recorded in log.events:
        events.append(truly_counted(recorded, book))
        book.read(events[-1])
    rows = ask(folded(events), list_accounts())
    assert [row.residue for row in rows] == [0] * len(rows)
    assert {(row.user, row.device): row.terms for row in rows} == {
        whose: each.totals for whose, each in book.devices.items() if each.opened
    }


def truly_counted(recorded: RecordedEvent, book: Book) -> RecordedEvent:
    """The same event, but that it counts what it settles as an honest server does."""
    whose, event = device_of(recorded.stream), decode_recorded(recorded)
    if whose is None or not isinstance(event, DeliveryAcknowledged | QueueTrimmed | DeviceExpired):
        return recorded
    count = book.count(whose, event, recorded.position)
    return evolve(recorded, data=encode(evolve(event, count=count)))


def replayed(log: Log) -> dict[tuple[str, str], tuple[int, int, int]]:
    """What :func:`list_conversations` should count, in the plainest way there is."""
    root: dict[tuple[str, str], str] = {}
    entries: dict[int, tuple[str, str]] = {}
    reactions: set[int] = set()
    unread: set[int] = set()

    def root_of(inbox: str, conversation: str) -> tuple[str, str]:
        while (inbox, conversation) in root:
            conversation = root[inbox, conversation]
        return inbox, conversation

    for recorded in log.events:
        inbox, conversation, position = recorded.inbox, recorded.conversation, recorded.position
        event = decode_recorded(recorded)
        if inbox is None:
            continue
        if isinstance(event, MessageRedacted):
            gone = {at for at in event.positions if at in entries and entries[at][0] == inbox}
            unread -= gone
            reactions -= gone
        if conversation is None:
            continue
        match event:
            case ContactAliased(alias=alias):
                joined, into = root_of(inbox, alias), root_of(inbox, conversation)
                if joined != into:
                    root[joined] = into[1]
            case ConversationRead(position=until):
                here = root_of(inbox, conversation)
                unread -= {at for at in unread if at <= until and root_of(*entries[at]) == here}
        if recorded.type == MessageReceived.type:
            entries[position] = (inbox, conversation)
            if isinstance(event, MessageReceived):
                if isinstance(event.content, Reaction):
                    reactions.add(position)
                elif event.direction == "inbound":
                    unread.add(position)
    found = defaultdict(list)
    for position in entries.keys() - reactions:
        found[root_of(*entries[position])].append(position)
    return {
        place: (len(positions), len(unread.intersection(positions)), max(positions))
        for place, positions in found.items()
    }


@given(st.lists(inbox_facts, max_size=40))
@settings(max_examples=60, deadline=None)
def test_no_member_query_gives_or_depends_on_anything_of_an_inbox_not_asked_for(
    history: list,
) -> None:
    """What is answered for inbox a is the same when inbox b never received a thing (row 24)."""
    only = frozenset({"a"})
    events = Log(*history).events
    mixed = folded(events)
    alone = folded([event if event.inbox == "a" else _silenced(event) for event in events])
    queries = [
        list_conversations(only),
        list_conversations(only, inbox="b"),
        conversations_touched(only, 0),
        *(get_conversation(only, conversation) for conversation in CONVERSATIONS),
        *(list_messages(only, conversation) for conversation in CONVERSATIONS),
    ]
    for query in queries:
        rows = ask(mixed, query)
        assert {row.inbox for row in rows} <= only
        assert rows == ask(alone, query)
    assert ask(mixed, list_conversations(only, inbox="b")) == []
    assert ask(mixed, list_conversations(frozenset())) == []


def _silenced(event: RecordedEvent) -> RecordedEvent:
    return evolve(event, stream="system", type=ServerStopped.type, data=b'{"boot":"x"}')


# --- the same on any machine -------------------------------------------------------------------

DIGESTS = {
    ("conversations", 3): "76a0173c13269c0d",
    ("messages", 3): "12e7d9abb72b9e77",
    ("deliveries", 5): "37c0ef1dde8e7c1c",
    ("ledger", 2): "686a1282c7516186",
    ("outcomes", 2): "5ea404e1c7111568",
    ("connections", 5): "91490dda1f4ac010",
    ("metrics", 3): "d38d8d429cbfd68b",
    ("checkpoints", 2): "3369cf6146f1a26d",
    ("search", 2): "21767fe1cf0db38d",
    ("access", 2): "e50e60f32b634556",
}
"""The digests of :func:`fixed_log`. One that changes means that rows have: then the projection's
``version`` must change with it, or files out there keep rows of the old kind."""


def fixed_log() -> Log:
    """Three hundred facts of every kind, the same ones each time."""
    random = Random(7)
    names = ["Ñandú", "İstanbul", "straße", "東京", "a\0b", "z"]
    log = Log(system(InboxCreated("a", "whatsapp")), system(InboxCreated("b", "standard")))
    for number in range(300):
        inbox, conversation = random.choice("ab"), f"c{random.randrange(5)}"
        id_, name = f"m{random.randrange(40)}", random.choice(names)
        contact = Contact(conversation, name, None, random.choice([None, name]))
        status = random.choice(["sent", "delivered", "read", "played", "failed"])
        about = [
            MessageReceived(id_, contact, Text(f"{name}\n {number}"), sent_at=TIME),
            MessageReceived(id_, contact, Media("image", caption=name), "outbound"),
            MessageReceived(id_, contact, Reaction(f"m{random.randrange(40)}", "👍")),
            MessageStatusChanged(id_, status, TIME),
            MessageEdited(id_, Text(name), random.choice([None, TIME])),
            MessageRevoked(id_),
            ContactAliased(f"c{random.randrange(5)}", "user_id"),
            ConversationRead(random.randrange(300), "ann"),
        ]
        log.add(told(conversation, random.choice(about), inbox=inbox))
        session, user = f"s{random.randrange(9)}", random.choice(names[3:])
        given = ("a", "b")[: number % 3]
        of_device = [
            ClientConnected(session, f"boot{number // 100}", "fresh", number, None, given),
            ClientDisconnected(session, 1006, name),
            HeartbeatAnswered(session, random.random() * 100),
            DeliveryAcknowledged(session, 0, random.randrange(300), 3),
            DeliveryParked(session, random.randrange(300), name),
        ]
        log.add(device(random.choice(of_device), user))
        of_system = [
            ServerStarted(f"boot{number // 100}", "1"),
            MemberAdded(name, "member", tuple(random.sample("ab", random.randrange(3)))),
            MemberRemoved(name, random.choice([None, "a"])),
            TokenIssued(f"t{number % 9}", name, random.choice([None, TIME])),
            TokenRevoked(f"t{random.randrange(9)}"),
        ]
        log.add(system(random.choice(of_system)))
    log.redact(*[e.position for e in log.events if e.inbox == "a" and e.position % 50 == 0])
    return log


TIME = datetime(2026, 10, 25, 1, 30, 0, 123457, tzinfo=UTC)
PRINT_DIGESTS = """
import json
from tests.projections.test_hostile_log import fixed_log, folded
print(json.dumps(folded(fixed_log().events).digests()))
"""


def test_the_digests_are_those_of_these_versions() -> None:
    """Rows that change without a new version would leave old rows in everybody's file."""
    found = folded(fixed_log().events).digests()
    versions = {projection.name: projection.version for projection in PROJECTIONS}
    assert {(name, versions[name]): digest[:16] for name, digest in found.items()} == DIGESTS


@pytest.mark.parametrize(
    ("seed", "zone", "locale"),
    [("0", "America/Sao_Paulo", "tr_TR.UTF-8"), ("4242", "Asia/Kathmandu", "C")],
)
def test_a_process_with_another_hash_seed_zone_and_locale_comes_to_the_same(
    seed: str, zone: str, locale: str
) -> None:
    """Nothing of the process goes into the rows."""
    surroundings = {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale, "PYTHONPATH": "."}
    done = subprocess.run(
        [sys.executable, "-c", PRINT_DIGESTS],
        cwd=Path(__file__).parents[2],
        env=os.environ | surroundings,
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == folded(fixed_log().events).digests()
