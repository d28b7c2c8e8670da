"""What :mod:`projections.outcomes` points at: of one event for many devices, of one device then."""
# ruff: noqa: S608 - SQL is put together from constants of this file; values are always bound

from __future__ import annotations

from collections.abc import Iterable

import orjson
from attrs import field, frozen

from projections.deliveries import Device
from projections.outcomes import OUTCOMES, Kind
from projections.projection import POSITION_MAX, Query, Values


def _positions(text: str) -> list[int]:
    found: list[int] = orjson.loads(text)
    return found


@frozen
class Pointers:
    """Where the log says what became of the event ``at`` for one device, in no order.

    ``left_out`` counts what concerns it and is not among the ``positions``, because of some kind
    there is too much.
    """

    at: int
    user: str
    device: str
    positions: list[int] = field(converter=_positions)
    left_out: int


def _first(of: str, kind: Kind, where: str, order: str = "position LIMIT 1") -> str:
    """SQL: the first row of a kind of the device of a row of ``of``."""
    return f"""SELECT position FROM outcomes AS o WHERE o.user = {of}.user
            AND o.device = {of}.device AND kind = {kind:d} AND {where} ORDER BY {order}"""


def _last(of: str, kind: Kind, where: str = "position <= :head") -> str:
    return _first(of, kind, where, "position DESC LIMIT 1")


_COVERS = "position > page.at AND position <= :head AND until >= page.at"
_SESSION = "position > since AND position <= last"


def _whose(kind: Kind) -> str:
    return (
        f"outcomes AS o WHERE o.user = spans.user AND o.device = spans.device AND kind = {kind:d}"
    )


_NAMED = """outcomes_named AS o WHERE named = at AND o.user = spans.user AND o.device = spans.device
        AND position <= :head"""
_KINDS = (
    f"{_whose(Kind.OPENED)} AND {_SESSION}",
    f"{_whose(Kind.CLOSED)} AND {_SESSION}",
    f"{_whose(Kind.RETRIED)} AND position > at AND position <= last",
    f"{_NAMED} AND position > first_named",
    "outcomes_system AS o WHERE o.user = spans.user AND position <= :head",
    f"outcomes_system AS o WHERE o.user = '' AND {_SESSION}",
)
_NEWEST = "".join(
    f" UNION SELECT * FROM (SELECT position FROM {each} ORDER BY position DESC LIMIT :most)"
    for each in _KINDS
)
_COUNTED = " UNION ALL ".join(f"SELECT count(*) AS n FROM {each}" for each in _KINDS)

# `since` is the last session that began before the event, `settled` the first range that covers it.
# What comes after that concerns only what was put aside: `last` is where it ends. Of each kind the
# newest decide what it has come to; of what names the event the first says that it was put aside.
_POINTERS = f"""
WITH page AS MATERIALIZED ({{page}}),
found AS MATERIALIZED (
    SELECT page.*, ifnull((
            {_last("page", Kind.OPENED, "position < page.at")}), 0) AS since,
        (SELECT min(position) FROM (
            SELECT * FROM ({_first("page", Kind.ACKED, _COVERS)})
            UNION ALL SELECT * FROM ({_first("page", Kind.SKIPPED, _COVERS)}))) AS settled,
        (SELECT min(position) FROM outcomes_named AS named WHERE named = page.at
            AND named.user = page.user AND named.device = page.device
            AND position <= :head) AS first_named
    FROM page
),
spans AS MATERIALIZED (
    SELECT *, iif(first_named IS NULL AND settled IS NOT NULL, settled, :head) AS last FROM found
)
SELECT at, user, device, (SELECT json_group_array(position) || '' FROM (
    SELECT settled AS position WHERE settled IS NOT NULL
    UNION SELECT since WHERE since > 0
    UNION SELECT first_named WHERE first_named IS NOT NULL{_NEWEST}
)), (SELECT sum(max(0, n - :most)) FROM ({_COUNTED}))
FROM spans ORDER BY at, user, device
"""
_OF_DEVICES = _POINTERS.format(
    page="""SELECT :at AS at, user, device FROM deliveries
    WHERE (user, device) > (:after_user, :after_device) ORDER BY user, device LIMIT :limit"""
)
_OF_EVENTS = _POINTERS.format(
    page="SELECT value AS at, :user AS user, :device AS device FROM json_each(:positions)"
)
_READS = (OUTCOMES.name, "deliveries")


def list_pointers(
    position: int, *, after: Device = ("", ""), limit: int = 200, most: int = 100
) -> Query[Pointers]:
    """For a page of devices, in order of user and device, what concerns the event at a position.

    Of each kind the newest ``most`` at most, where somebody has that many sessions or retries over
    one event. ``after`` is the last device of the page before.
    """
    values: Values = {"at": position, "limit": limit, "most": most, "head": POSITION_MAX}
    last = {"after_user": after[0], "after_device": after[1]}
    return Query(_OF_DEVICES, {**values, **last}, Pointers, _READS)


def list_pointers_of(
    device: Device, positions: Iterable[int], *, head: int, most: int = 100
) -> Query[Pointers]:
    """For one device, what up to ``head`` concerns each of these events, in order of position."""
    asked = orjson.dumps(sorted(positions)).decode()
    values: Values = {"user": device[0], "device": device[1], "positions": asked}
    return Query(_OF_EVENTS, {**values, "head": head, "most": most}, Pointers, _READS)


@frozen
class DeviceAt:
    """Where in the log one device's state at a position is said; None for what had not been yet.

    Where its first and its last session began, and where the last one ended, or another server
    ``restarted`` over it; the last ack, the last skip.
    """

    device: str
    began: int | None
    opened: int | None
    closed: int | None
    restarted: int | None
    acked: int | None
    skipped: int | None

    @property
    def positions(self) -> list[int]:
        """All of them."""
        each = (self.began, self.opened, self.closed, self.restarted, self.acked, self.skipped)
        return [position for position in each if position is not None]


_AFTER_OPENED = "position > opened AND position <= :head"
_DEVICES_AT = f"""
WITH page AS MATERIALIZED (
    SELECT user, device FROM deliveries WHERE user = :user AND (:after IS NULL OR device > :after)
        AND (:device IS NULL OR device = :device) ORDER BY device LIMIT :limit
),
spans AS MATERIALIZED (
    SELECT page.*, ({_first("page", Kind.OPENED, "position <= :head")}) AS began,
        ({_last("page", Kind.OPENED)}) AS opened FROM page
)
SELECT device, began, opened, ({_first("spans", Kind.CLOSED, _AFTER_OPENED)}),
    (SELECT position FROM outcomes_system AS o
        WHERE o.user = '' AND {_AFTER_OPENED} ORDER BY position LIMIT 1),
    ({_last("spans", Kind.ACKED)}), ({_last("spans", Kind.SKIPPED)})
FROM spans ORDER BY device
"""


def devices_at(
    user: str, head: int, *, device: str | None = None, after: str | None = None, limit: int = 20
) -> Query[DeviceAt]:
    """A user's devices, or one, as the log has them up to a position, in order of name.

    Those that were not here yet have None everywhere. ``after`` is the last one of the page before.
    """
    values: Values = {"user": user, "device": device, "after": after}
    return Query(_DEVICES_AT, {**values, "head": head, "limit": limit}, DeviceAt, _READS)


_LATER = """
SELECT position FROM outcomes_named WHERE named = :at AND user = '' AND device = ''
UNION SELECT * FROM (SELECT position FROM messages_status
    WHERE inbox = :inbox AND message_id = :message LIMIT :most)
UNION SELECT * FROM (SELECT position FROM messages_edit
    WHERE inbox = :inbox AND message_id = :message LIMIT :most)
UNION SELECT * FROM (SELECT position FROM messages_revocation
    WHERE inbox = :inbox AND message_id = :message LIMIT :most)
UNION SELECT * FROM (SELECT position FROM messages
    WHERE inbox = :inbox AND reacts_to = :message LIMIT :most)
ORDER BY position LIMIT :most
"""


def list_later(position: int, inbox: str, message_id: str | None, *, most: int = 500) -> Query[int]:
    """Where it was said later what became of a message itself, in order, the first ``most``.

    Statuses, edits, revocations, reactions; erasures, and repeats with another content. Without its
    ``message_id``, which an erasure takes with it, only the last two.
    """
    values: Values = {"at": position, "inbox": inbox, "message": message_id, "most": most}
    return Query(_LATER, values, int, (OUTCOMES.name, "messages"))
