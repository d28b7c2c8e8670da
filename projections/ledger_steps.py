"""The ledger's tables, and what each kind of event does to them.

A device's account is closed sums (``addressed``, ``acknowledged``, ``skipped``, ``withdrawn``) and
what still runs: the inboxes of its audience, each with the number of the inbox's events at which it
began, and the ack floor. So a message costs one row, an ack one, however many devices there are.
"""
# ruff: noqa: S608 - SQL is put together from constants of this file; values are always bound

from __future__ import annotations

_NTH = """ifnull((SELECT nth FROM ledger_visible AS seen WHERE seen.inbox = {inbox}
        AND seen.position <= {position} ORDER BY seen.position DESC LIMIT 1), 0)"""
"""How many events that members see an inbox had up to a position."""

_HEAD = _NTH.format(inbox="given.inbox", position="9223372036854775807")
_SETTLED = _NTH.format(inbox="given.inbox", position="ledger.floor")
_ASIDE = """(SELECT count(*) FROM ledger_aside AS aside WHERE aside.user = given.user
        AND aside.device = given.device AND aside.inbox = given.inbox AND {})"""
_OUTCOME_OF_ITS_OWN = _ASIDE.format("aside.position > ledger.floor")
_ASKED = _ASIDE.format("aside.state = 'asked'")

# opened: whether a session said what it is given; an older release's did not, and has no account.
# ledger_audience: the inboxes a device is addressed; `since` is the inbox's number as that began.
# ledger_aside: events with an outcome of their own (parked, asked for again, ...); ranges pass over
# them. ledger_member: a role of NULL is a user who left; one without a row is none of the log's.
TABLES = f"""
CREATE TABLE ledger (
    user TEXT NOT NULL, device TEXT NOT NULL, floor INTEGER NOT NULL, session TEXT, boot TEXT,
    opened INTEGER NOT NULL, addressed INTEGER NOT NULL DEFAULT 0,
    acknowledged INTEGER NOT NULL DEFAULT 0, skipped INTEGER NOT NULL DEFAULT 0,
    withdrawn INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (user, device)
) WITHOUT ROWID;
CREATE TABLE ledger_audience (
    user TEXT NOT NULL, device TEXT NOT NULL, inbox TEXT NOT NULL, since INTEGER NOT NULL,
    PRIMARY KEY (user, device, inbox)
) WITHOUT ROWID;
CREATE TABLE ledger_aside (
    user TEXT NOT NULL, device TEXT NOT NULL, position INTEGER NOT NULL, inbox TEXT NOT NULL,
    state TEXT NOT NULL, PRIMARY KEY (user, device, position)
) WITHOUT ROWID;
CREATE TABLE ledger_visible (
    inbox TEXT NOT NULL, position INTEGER NOT NULL, nth INTEGER NOT NULL,
    PRIMARY KEY (inbox, position)
) WITHOUT ROWID;
CREATE TABLE ledger_member (user TEXT PRIMARY KEY, role TEXT) WITHOUT ROWID;
CREATE TABLE ledger_belongs (
    user TEXT NOT NULL, inbox TEXT NOT NULL, PRIMARY KEY (user, inbox)
) WITHOUT ROWID;

CREATE VIEW ledger_each AS
SELECT given.user, given.device, given.inbox, session, {_HEAD} - since AS addressed,
    {_HEAD} - {_SETTLED} - {_OUTCOME_OF_ITS_OWN} + {_ASKED} AS outstanding
FROM ledger_audience AS given JOIN ledger USING (user, device);

CREATE VIEW ledger_lost AS
SELECT each.* FROM ledger_each AS each JOIN ledger_member AS member ON member.user = each.user
WHERE each.session IS NULL AND (member.role IS NULL OR member.role = 'member' AND NOT EXISTS (
    SELECT 1 FROM ledger_belongs AS b WHERE b.user = each.user AND b.inbox = each.inbox));

CREATE VIEW ledger_account AS
SELECT *, addressed - acknowledged - outstanding - parked - skipped - withdrawn AS residue FROM (
    SELECT user, device, session IS NOT NULL AS connected, floor,
        addressed + (SELECT ifnull(sum(each.addressed), 0) FROM ledger_each AS each
            WHERE each.user = ledger.user AND each.device = ledger.device) AS addressed,
        acknowledged,
        (SELECT ifnull(sum(each.outstanding), 0) FROM ledger_each AS each
            WHERE each.user = ledger.user AND each.device = ledger.device) AS outstanding,
        (SELECT count(*) FROM ledger_aside AS aside WHERE aside.user = ledger.user
            AND aside.device = ledger.device AND state = 'parked') AS parked,
        skipped, withdrawn
    FROM ledger WHERE opened
);
"""

_OF_DEVICE = "user = new.user AND device = new.device"
_GIVEN = "(SELECT value FROM json_each(new.list))"
_NAMED = f"{_OF_DEVICE} AND position IN (SELECT value FROM json_each(new.list))"


def _lose(lost: str, of: str = _OF_DEVICE) -> str:
    """These inboxes are not addressed to their devices any more: what was outstanding is withdrawn.

    ``lost`` is a query for rows of ``ledger_each``, ``of`` says of which devices.
    """
    of_each = f"FROM ({lost}) AS lost WHERE lost.user = ledger.user AND lost.device = ledger.device"
    keys = f"(SELECT user, device, inbox FROM ({lost}))"
    return f"""
    UPDATE ledger SET addressed = addressed + (SELECT ifnull(sum(lost.addressed), 0) {of_each}),
        withdrawn = withdrawn + (SELECT ifnull(sum(lost.outstanding), 0) {of_each})
    WHERE {of};
    UPDATE ledger_aside SET state = 'withdrawn'
    WHERE state = 'asked' AND (user, device, inbox) IN {keys};
    DELETE FROM ledger_audience WHERE (user, device, inbox) IN {keys};"""


_LOSE_OF_USER = _lose("SELECT * FROM ledger_lost WHERE user = new.user", "user = new.user")

_NOT_GIVEN = f"""SELECT * FROM ledger_each
        WHERE {_OF_DEVICE} AND new.list IS NOT NULL AND inbox NOT IN {_GIVEN}"""

# The audience becomes `inboxes`, if it is said: what is not among them is lost, what is new there
# is addressed from the ack floor on, without what has an outcome of its own already.
_GIVE = f"""
    {_lose(_NOT_GIVEN)}
    UPDATE ledger SET opened = opened OR new.list IS NOT NULL,
        addressed = addressed - (SELECT count(*) FROM ledger_aside AS aside
            WHERE aside.user = new.user AND aside.device = new.device
            AND aside.position > ledger.floor AND aside.inbox IN {_GIVEN} AND NOT EXISTS (
                SELECT 1 FROM ledger_audience AS given WHERE given.user = new.user
                AND given.device = new.device AND given.inbox = aside.inbox))
    WHERE {_OF_DEVICE};
    INSERT INTO ledger_audience
    SELECT user, device, value, {_NTH.format(inbox="value", position="floor")}
    FROM ledger CROSS JOIN json_each(new.list) WHERE {_OF_DEVICE} ON CONFLICT DO NOTHING;"""

# What was withdrawn, and is asked for, acknowledged or parked after all, was addressed once more.
_READDRESS = f"""
    UPDATE ledger SET addressed = addressed + (
        SELECT count(*) FROM ledger_aside WHERE {_NAMED} AND state = 'withdrawn')
    WHERE {_OF_DEVICE};"""

STEPS = {
    "visible": f"""
    INSERT INTO ledger_visible
    VALUES (new.name, new.position, 1 + {_NTH.format(inbox="new.name", position="new.position")});
    """,
    "connected": f"""
    INSERT INTO ledger (user, device, floor, session, boot, opened)
    VALUES (new.user, new.device, new.position, new.name, new.boot, 0)
    ON CONFLICT DO UPDATE SET session = excluded.session, boot = excluded.boot;
    {_GIVE}""",
    "disconnected": f"""
    UPDATE ledger SET session = NULL WHERE {_OF_DEVICE} AND session = new.name;
    {_lose(f"SELECT * FROM ledger_lost WHERE {_OF_DEVICE}")}""",
    "started": f"""
    UPDATE ledger SET session = NULL WHERE session IS NOT NULL AND boot <> new.name;
    {_lose("SELECT * FROM ledger_lost", "session IS NULL")}""",
    "acknowledged": f"""
    UPDATE ledger SET floor = max(floor, new.position),
        acknowledged = acknowledged + new.count * opened WHERE {_OF_DEVICE};""",
    "skipped": f"""
    UPDATE ledger SET floor = max(floor, new.position), skipped = skipped + new.count * opened
    WHERE {_OF_DEVICE};""",
    # At or below the floor it has another outcome already, and one is all an event is counted by.
    "parked": f"""
    {_READDRESS}
    UPDATE ledger_aside SET state = 'parked' WHERE {_NAMED} AND state IN ('asked', 'withdrawn');
    INSERT INTO ledger_aside
    SELECT user, device, new.position, given.inbox, 'parked'
    FROM ledger_audience AS given JOIN ledger USING (user, device)
    JOIN ledger_visible AS seen ON seen.inbox = given.inbox AND seen.position = new.position
    WHERE {_OF_DEVICE} AND new.position > ledger.floor ON CONFLICT DO NOTHING;""",
    # What was withdrawn stays so, and what nobody may be given stays parked.
    "asked": f"""
    UPDATE ledger_aside SET state = 'asked' WHERE {_NAMED} AND state = 'parked'
    AND inbox IN (SELECT inbox FROM ledger_audience WHERE {_OF_DEVICE});""",
    "acknowledged_again": f"""
    {_READDRESS}
    UPDATE ledger SET acknowledged = acknowledged + (
        SELECT count(*) FROM ledger_aside WHERE {_NAMED} AND state <> 'acknowledged')
    WHERE {_OF_DEVICE};
    UPDATE ledger_aside SET state = 'acknowledged' WHERE {_NAMED};""",
    "expired": f"""
    {_GIVE}
    UPDATE ledger_aside SET state = 'parked' WHERE {_OF_DEVICE} AND state = 'asked';
    UPDATE ledger SET floor = max(floor, new.position), skipped = skipped + new.count * opened,
        session = NULL WHERE {_OF_DEVICE};
    {_lose(f"SELECT * FROM ledger_each WHERE {_OF_DEVICE}")}""",
    "member_added": f"""
    INSERT INTO ledger_member VALUES (new.user, new.name)
    ON CONFLICT DO UPDATE SET role = excluded.role;
    DELETE FROM ledger_belongs WHERE user = new.user;
    INSERT INTO ledger_belongs SELECT new.user, value FROM json_each(new.list);
    {_LOSE_OF_USER}""",
    "left_inbox": f"""
    DELETE FROM ledger_belongs WHERE user = new.user AND inbox = new.name;
    {_LOSE_OF_USER}""",
    "left": f"""
    INSERT INTO ledger_member VALUES (new.user, NULL) ON CONFLICT DO UPDATE SET role = NULL;
    DELETE FROM ledger_belongs WHERE user = new.user;
    {_LOSE_OF_USER}""",
}
