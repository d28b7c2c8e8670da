"""What a seed decides before anything happens: who is there, how large all is, what goes wrong."""

from __future__ import annotations

from random import Random

from attrs import frozen

from eventstore.limits import Limits as LogLimits
from transport.frames import Window
from transport.hub import Limits as HubLimits
from transport.offline_queue import QueueLimits

FAULTS = (
    "cut", "cut_one_side", "half_open", "stall", "partition", "client_dies", "slow_app",
    "server_crashes", "server_crashes_at_work", "server_stops", "disk_slow", "disk_fails",
    "disk_full", "clock_jumps", "membership", "ghost", "rogue", "rewind", "swallow",
    "newcomer", "replay", "expire",
)  # fmt: skip
INBOXES = ("a", "b", "c")
USERS = ("ana", "rui")
FOR_EVER = QueueLimits(1_000_000, 1e9)
"""Nothing falls out of such an offline queue, however far the clock jumps."""
SHORT = (QueueLimits(3, 1e9), QueueLimits(1_000_000, 86_400.0), QueueLimits(3, 86_400.0))


THOROUGH_EVERY = 10
"""One seed in so many is looked into in every way there is; see :class:`Plan`."""


@frozen
class Plan:
    """One seed's world.

    A ``thorough`` one has all projections, which are folded anew in the end and must be the same;
    and its calm is long enough for each dead connection to be found by its heartbeats. The others
    are a third of its price, and have only the projections that delivery asks.
    """

    inboxes: tuple[str, ...]
    apps: tuple[tuple[str, str], ...]
    chaos_s: float
    fault_every_s: float
    faults: tuple[str, ...]
    webhook_every_s: float
    bursts: tuple[int, ...]
    puts_aside: float
    thorough: bool
    permuted: bool
    log: LogLimits
    hub: HubLimits


def draw(seed: int, rng: Random) -> Plan:
    """Each seed leaves some faults out, so that the others are seen for themselves."""
    chosen = rng.sample(FAULTS, rng.randint(2, len(FAULTS)))
    devices = [(user, f"d{number}") for user in USERS for number in (1, 2)]
    return Plan(
        inboxes=INBOXES[: rng.randint(1, 3)],
        apps=tuple(sorted(rng.sample(devices, rng.randint(1, 3)))),
        chaos_s=rng.choice((5.0, 10.0, 20.0)),
        fault_every_s=rng.choice((0.7, 1.5, 4.0)),
        faults=tuple(sorted(chosen)),
        webhook_every_s=rng.choice((1.0, 2.0, 4.0)),
        bursts=rng.choice(((1,), (1, 2, 3), (1, 1, 1, 1, 12))),
        puts_aside=rng.choice((0.0, 0.0, 0.0, 0.1, 0.5)),
        thorough=seed % THOROUGH_EVERY == 0,
        permuted=rng.random() < 0.7,
        log=LogLimits(
            group_drafts_max=rng.choice((3, 1_000)),
            tail_events_max=rng.choice((2, 20, 10_000)),
            recheck_links=rng.choice((5, 1_000)),
            readers=rng.choice((1, 2)),
            recent_events_max=rng.choice((2, 20, 10_000)),
        ),
        hub=HubLimits(
            window=Window(rng.choice((4, 20, 100)), rng.choice((3_000, 256 * 1024))),
            records_max=rng.choice((40, 20_000)),
            queue=rng.choice(SHORT) if rng.random() < 0.25 else FOR_EVER,
        ),
    )
