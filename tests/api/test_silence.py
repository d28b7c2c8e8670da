"""The silence alarm: what an inbox should have had since its newest message."""

from __future__ import annotations

from api.silence import ALARM_MESSAGES, WEEK_HOURS, Silence, first_hour, silences
from projections.metrics import HOUR_US, InboxHour
from projections.projection import Microseconds

NOW_HOUR = 480_000
NOW_US = NOW_HOUR * HOUR_US + HOUR_US // 2


def hour(number: int, messages: int, inbox: str = "a") -> InboxHour:
    """An hour, relative to now; the newest message in its middle."""
    absolute = NOW_HOUR + number
    newest = Microseconds(absolute * HOUR_US + HOUR_US // 2)
    return InboxHour(inbox, absolute, messages, newest)


def usual(messages: int, hours: range, weeks: range = range(1, 5)) -> list[InboxHour]:
    """The same number in these hours of each of the weeks before."""
    return [hour(each - week * WEEK_HOURS, messages) for week in weeks for each in hours]


def the(rows: list[InboxHour]) -> Silence:
    """The one inbox's silence, with its rows in any order."""
    [found] = silences(rows, NOW_US)
    return found


def test_what_came_at_these_hours_of_other_weeks_was_to_be_expected() -> None:
    """Newest 2 h ago, in the middle of an hour: half, one and half an hour of 12 each."""
    silence = the([*usual(12, range(-3, 1)), hour(-2, 5)])
    assert silence.expected == 24.0
    assert silence.alarming


def test_a_night_is_quiet_and_no_alarm() -> None:
    """Nothing comes at this hour in any week."""
    silence = the([*usual(100, range(-20, -9)), hour(-9, 5)])
    assert silence.expected == 0.0
    assert not silence.alarming


def test_a_young_inbox_expects_nothing() -> None:
    """Without a week of history there is nothing usual yet."""
    assert the([hour(-100, 50), hour(-50, 50)]).expected == 0.0


def test_weeks_before_the_inbox_began_do_not_count() -> None:
    """One week of history is a mean over one week."""
    silence = the([hour(-WEEK_HOURS - 2, 1), *usual(12, range(-1, 1), range(1, 2)), hour(-1, 5)])
    assert silence.expected == 12.0


def test_a_silence_longer_than_a_week_expects_a_week() -> None:
    """It is alarming enough, and the sum stays bounded."""
    rows = [hour(-3 * WEEK_HOURS + each, 1) for each in range(WEEK_HOURS + 1)]
    assert 0 < the(rows).expected <= WEEK_HOURS


def test_each_inbox_is_judged_by_itself() -> None:
    """In order of name; the hours asked for reach over all weeks that count."""
    rows = [hour(0, 1, "b"), hour(0, 1, "a")]
    assert [each.inbox for each in silences(rows, NOW_US)] == ["a", "b"]
    assert first_hour(NOW_US) <= NOW_HOUR - 4 * WEEK_HOURS - WEEK_HOURS
    assert ALARM_MESSAGES > 0
