"""Every bound of the log in one place (G18)."""

from __future__ import annotations

from attrs import frozen

MIB = 1024 * 1024


@frozen
class Limits:
    """What the log holds at most, in drafts, events and bytes.

    ``recheck_links`` is how much of the chain is checked at open and after a failed write;
    ``disk_reserve_bytes`` must stay free or no webhook is taken (G15).
    """

    group_drafts_max: int = 1_000
    waiting_drafts_max: int = 20_000
    waiting_bytes_max: int = 64 * MIB
    tail_events_max: int = 10_000
    tail_bytes_max: int = 16 * MIB
    recent_events_max: int = 4_000
    recent_bytes_max: int = 8 * MIB
    page_bytes_max: int = 16 * MIB
    disk_reserve_bytes: int = 64 * MIB
    recheck_links: int = 1_000
    readers: int = 3


DEFAULT_LIMITS = Limits()
