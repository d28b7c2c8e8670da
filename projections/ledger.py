"""What each device was addressed, and what became of it: nothing is ever left over.

    addressed = acknowledged + outstanding + parked + skipped + withdrawn

at every position, for every device, each term counted from events of its own. ``docs/ledger.md``
says which moment decides what; in short: a device is addressed what comes to the inboxes of its
session, from its ack floor on, until it is neither connected nor permitted to see them.
"""
# ruff: noqa: S608 - SQL is put together from constants of this file; values are always bound

from __future__ import annotations

import orjson
from attrs import field, frozen

from eventstore.codec import EVENT_TYPES
from eventstore.events import (
    ClientConnected,
    ClientDisconnected,
    DeliveryAcknowledged,
    DeliveryParked,
    DeliveryReplayAcknowledged,
    DeliveryReplayRequested,
    DeviceExpired,
    Event,
    MemberAdded,
    MemberRemoved,
    QueueTrimmed,
    RecordedEvent,
    ServerStarted,
)
from projections.deliveries import device_of, within
from projections.ledger_steps import STEPS, TABLES
from projections.projection import Projection, Query, Statement, Values, json_list


def _evolve(recorded: RecordedEvent, event: Event | None) -> Statement | None:
    if recorded.for_members:  # whatever it says, and also when that was erased
        return Statement("visible", {"name": recorded.inbox, "position": recorded.position})
    if (whose := device_of(recorded.stream)) is not None:
        return _of_device(recorded, event, {"user": whose[0], "device": whose[1]})
    return _of_system(event) if recorded.stream == "system" else None


def _of_device(recorded: RecordedEvent, event: Event | None, of: Values) -> Statement | None:
    match event:
        case ClientConnected():
            session: Values = {"name": event.session, "boot": event.boot}
            start = within(event.position, recorded)
            return Statement(
                "connected", {**of, **session, "position": start, "list": _inboxes(event.inboxes)}
            )
        case ClientDisconnected():
            return Statement("disconnected", {**of, "name": event.session})
        case DeliveryAcknowledged():
            return Statement("acknowledged", {**of, **_range(event, recorded)})
        case QueueTrimmed():
            return Statement("skipped", {**of, **_range(event, recorded)})
        case DeviceExpired():
            inboxes = _inboxes(event.inboxes)
            return Statement("expired", {**of, **_range(event, recorded), "list": inboxes})
        case DeliveryParked():
            at = within(event.position, recorded)
            return Statement("parked", {**of, "position": at, "list": _positions((at,))})
        case DeliveryReplayRequested():
            return Statement("asked", {**of, "list": _positions(event.positions)})
        case DeliveryReplayAcknowledged():
            return Statement("acknowledged_again", {**of, "list": _positions(event.positions)})
    return None


def _range(
    event: DeliveryAcknowledged | QueueTrimmed | DeviceExpired, recorded: RecordedEvent
) -> Values:
    return {"position": within(event.until, recorded), "count": within(event.count, recorded)}


def _inboxes(names: tuple[str, ...] | None) -> str | None:
    return None if names is None else json_list(frozenset(names))


def _positions(positions: tuple[int, ...]) -> str:
    return orjson.dumps(positions).decode()


def _of_system(event: Event | None) -> Statement | None:
    match event:
        case ServerStarted():
            return Statement("started", {"name": event.boot})
        case MemberAdded():
            inboxes = _inboxes(event.inboxes)
            member: Values = {"user": event.user, "name": event.role, "list": inboxes}
            return Statement("member_added", member)
        case MemberRemoved(inbox=None):
            return Statement("left", {"user": event.user})
        case MemberRemoved():
            return Statement("left_inbox", {"user": event.user, "name": event.inbox})
    return None


LEDGER = Projection(
    name="ledger",
    version=2,
    # Whatever its type, what stands in an inbox's stream is addressed to its members, unless it is
    # for auditors only.
    types=frozenset(name for name in EVENT_TYPES if not name.startswith("webhook.")),
    tables=TABLES,
    steps=STEPS,
    evolve=_evolve,
)

# --- queries -----------------------------------------------------------------------------------


@frozen
class Account:
    """One device: how many events it was addressed, and what became of them.

    ``connected`` is whether it has a session; ``ack_floor`` the position up to which everything is
    settled. ``residue`` is what nobody can account for: 0, or there is a fault.
    """

    user: str
    device: str
    connected: bool = field(converter=bool)
    ack_floor: int
    addressed: int
    acknowledged: int
    outstanding: int
    parked: int
    skipped: int
    withdrawn: int
    residue: int

    @property
    def terms(self) -> tuple[int, ...]:
        """The equation's, from left to right."""
        outcomes = (self.acknowledged, self.outstanding, self.parked, self.skipped, self.withdrawn)
        return (self.addressed, *outcomes)


_READS = ("ledger",)


def list_accounts(
    device: tuple[str, str] | None = None,
    *,
    after: tuple[str, str] = ("", ""),
    limit: int = 1_000,
) -> Query[Account]:
    """Every device with an account, or one, in order of user and device.

    ``after`` is the last one's user and device, on the page before.
    """
    one = "" if device is None else "AND user = :user AND device = :device"
    sql = f"""SELECT * FROM ledger_account
        WHERE (user, device) > (:after_user, :after_device) {one}
        ORDER BY user, device LIMIT :limit"""
    user, name = device or (None, None)
    last = {"after_user": after[0], "after_device": after[1]}
    return Query(sql, {"user": user, "device": name, **last, "limit": limit}, Account, _READS)
