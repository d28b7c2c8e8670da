"""Histories nobody would write: every event, few ids, any order, wild numbers and texts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from eventstore.events import (
    CheckpointKeyMade,
    CheckpointSigned,
    ClientConnected,
    ClientDisconnected,
    CompactedBeats,
    Contact,
    ContactAliased,
    Contacts,
    ConversationRead,
    DeliveryAcknowledged,
    DeliveryParked,
    DeliveryReplayAcknowledged,
    DeliveryReplayed,
    DeliveryReplayRequested,
    DeliveryRetried,
    DeviceExpired,
    Generic,
    HeartbeatAnswered,
    HeartbeatMissed,
    HeartbeatsCompacted,
    InboxCreated,
    Location,
    Media,
    MemberAdded,
    MemberRemoved,
    MessageEdited,
    MessageReceived,
    MessageRedacted,
    MessageRevoked,
    MessageStatusChanged,
    Notice,
    Order,
    OrderItem,
    ProjectionRebuilt,
    ProviderError,
    QueueTrimmed,
    Reaction,
    Reply,
    RequestsRefused,
    ServerStarted,
    ServerStopped,
    SharedContact,
    SyncServed,
    Text,
    TokenIssued,
    TokenRevoked,
    Unsupported,
    WebhookDuplicated,
    WebhookReceived,
    WebhookUnparsed,
)
from tests.projections.history import Fact

INBOXES = ("a", "b")
CONVERSATIONS = ("c1", "c2", "c3", "c4")

inboxes = st.sampled_from(INBOXES)
conversations = st.sampled_from(CONVERSATIONS)
ids = st.sampled_from(["m1", "m2", "m3", "m\0", "m\0x"])
few = st.sampled_from(["x", "y", "z"])
users = st.sampled_from(["x", "y", "ann"])
granted = st.none() | st.lists(inboxes, max_size=3).map(tuple)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
maybe = st.none() | texts
numbers = st.integers(-(2**63), 2**64 - 1) | st.integers(-2, 60)
many = st.lists(numbers, max_size=4).map(tuple)
times = st.none() | st.integers(-(10**15), 4 * 10**15).map(
    lambda us: datetime.fromtimestamp(0, UTC) + timedelta(microseconds=us)
)
errors = st.tuples() | st.tuples(st.builds(ProviderError, numbers, maybe, maybe))
contacts = st.builds(Contact, few, maybe, maybe, maybe)
reactions = st.builds(Reaction, ids, st.none() | st.sampled_from(["", "👍", "❤"]))
contents = (
    st.builds(Text, texts)
    | st.builds(Media, st.sampled_from(["image", "audio"]), caption=maybe, voice=st.booleans())
    | st.builds(Location, st.floats(-90, 90), st.floats(-180, 180), name=maybe)
    | st.builds(Contacts, st.tuples(st.builds(SharedContact, texts)))
    | st.builds(Order, maybe, st.tuples(st.builds(OrderItem, texts, st.floats(0, 9))), maybe)
    | st.builds(Reply, st.sampled_from(["button", "form"]), title=maybe)
    | st.builds(Notice, texts, maybe)
    | st.builds(Generic, texts, maybe, st.none() | st.dictionaries(texts, texts, max_size=2))
    | st.builds(Unsupported, texts, errors)
    | reactions
)

minutes = st.lists(numbers, min_size=6, max_size=8) | st.lists(
    st.integers(0, 60), min_size=7, max_size=7
)
compacted = st.lists(
    st.builds(
        CompactedBeats,
        *(st.sampled_from(["ann", "bob"]), st.sampled_from(["phone", "a/b"]), few),
        st.lists(minutes.map(tuple), max_size=3).map(tuple),
    ),
    max_size=2,
).map(tuple)

in_inboxes = (
    st.builds(
        MessageReceived,
        *(ids, contacts, contents | reactions, st.sampled_from(["inbound", "outbound"]), times),
        *(maybe, st.booleans()),
    )
    | st.builds(
        MessageStatusChanged,
        *(ids, st.sampled_from(["sent", "delivered", "read", "played", "failed"]), times, errors),
    )
    | st.builds(MessageEdited, ids, contents, times)
    | st.builds(MessageRevoked, ids, times)
    | st.builds(MessageRedacted, many, texts, texts)
    | st.builds(ContactAliased, conversations, st.just("user_id"))
    | st.builds(ConversationRead, numbers, texts)
    | st.builds(WebhookReceived, texts, st.binary(max_size=8))
    | st.builds(WebhookUnparsed, texts, texts)
    | st.builds(WebhookDuplicated, numbers)
)
of_devices = (
    st.builds(ClientConnected, few, few, st.just("fresh"), numbers, maybe, granted)
    | st.builds(ClientDisconnected, few, st.integers(1000, 4999), texts)
    | st.builds(HeartbeatAnswered, few, st.floats(0, 1e6))
    | st.builds(HeartbeatMissed, few, st.integers(0, 9))
    | st.builds(DeliveryAcknowledged, few, numbers, numbers, numbers)
    | st.builds(DeliveryRetried, few, numbers, numbers, texts)
    | st.builds(DeliveryParked, few, numbers, texts)
    | st.builds(DeliveryReplayRequested, many, texts)
    | st.builds(DeliveryReplayed, few, numbers, many)
    | st.builds(DeliveryReplayAcknowledged, few, numbers, many)
    | st.builds(DeviceExpired, times.filter(bool), numbers, numbers, numbers, granted)
    | st.builds(QueueTrimmed, few, numbers, numbers, numbers, st.just("expired"))
    | st.builds(SyncServed, numbers, numbers, numbers, texts)
)
of_system = (
    st.builds(ServerStarted, few, texts)
    | st.builds(ServerStopped, few)
    | st.builds(InboxCreated, inboxes, few)
    | st.builds(
        MemberAdded,
        *(users, st.sampled_from(["member", "auditor", "admin"])),
        st.lists(inboxes, max_size=3).map(tuple),
    )
    | st.builds(MemberRemoved, users, st.none() | inboxes)
    | st.builds(TokenIssued, few, few, times)
    | st.builds(TokenRevoked, few)
    | st.builds(
        RequestsRefused,
        st.just(datetime(2026, 11, 22, tzinfo=UTC)),
        st.dictionaries(few, numbers, max_size=2),
    )
    | st.builds(CheckpointSigned, few, numbers, texts, times.filter(bool), few, texts, texts)
    | st.builds(CheckpointKeyMade, few, texts)
    | st.builds(HeartbeatsCompacted, numbers, numbers, compacted)
    | st.builds(ProjectionRebuilt, few, numbers, texts)
)

inbox_facts = st.builds(
    Fact, inboxes.map(lambda inbox: f"inbox:{inbox}"), in_inboxes, st.none() | conversations
)
facts = (
    inbox_facts
    | st.builds(
        Fact, st.sampled_from(["client:ann/phone", "client:bob/a/b", "client:"]), of_devices
    )
    | st.builds(Fact, st.just("system"), of_system)
    | st.builds(Fact, st.sampled_from(["system", "inbox:a", "client:ann/phone"]), of_system)
)
