"""The silence alarm: an inbox that gets nothing although, at this hour of the week, it should.

A broken integration is quiet. What an inbox may be expected to get is what it got at the same hours
of the last weeks; once the messages it should have got since its newest one are more than
:data:`ALARM_MESSAGES`, silence is no chance any more (for independent messages, one in 20,000).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from attrs import frozen

from projections.metrics import HOUR_US, InboxHour

WEEK_HOURS = 7 * 24
WEEKS = 4
ALARM_MESSAGES = 10.0


@frozen
class Silence:
    """Since when an inbox is silent (µs), and how many messages it should have had since."""

    inbox: str
    newest_at: int
    expected: float

    @property
    def alarming(self) -> bool:
        """Whether somebody should look."""
        return self.expected >= ALARM_MESSAGES


def first_hour(now_us: int) -> int:
    """The oldest hour (since the Unix epoch) that :func:`silences` looks at."""
    return now_us // HOUR_US - (WEEKS + 1) * WEEK_HOURS


def silences(rows: Sequence[InboxHour], now_us: int) -> list[Silence]:
    """Each inbox that ever got a message, in order of name."""
    by_inbox: dict[str, list[InboxHour]] = defaultdict(list)
    for row in rows:
        by_inbox[row.inbox].append(row)
    return [_silence(inbox, hours, now_us) for inbox, hours in sorted(by_inbox.items())]


def _silence(inbox: str, rows: Sequence[InboxHour], now_us: int) -> Silence:
    newest_at = max(row.newest_at for row in rows)
    counts = {row.hour: row.messages for row in rows}
    # A silence longer than a week has had every hour of the week in it.
    since = max(newest_at, now_us - WEEK_HOURS * HOUR_US)
    return Silence(inbox, newest_at, _expected(counts, since, now_us))


def _expected(counts: Mapping[int, int], since_us: int, until_us: int) -> float:
    total = 0.0
    for hour in range(since_us // HOUR_US, until_us // HOUR_US + 1):
        begins, ends = max(since_us, hour * HOUR_US), min(until_us, (hour + 1) * HOUR_US)
        total += _usual(counts, hour) * max(0, ends - begins) / HOUR_US
    return total


def _usual(counts: Mapping[int, int], hour: int) -> float:
    """The mean of the same hour in the weeks before, as far back as the inbox has a history."""
    begun = min(counts)
    weeks = [hour - week * WEEK_HOURS for week in range(1, WEEKS + 1)]
    known = [counts.get(each, 0) for each in weeks if each >= begun]
    return sum(known) / len(known) if known else 0.0
