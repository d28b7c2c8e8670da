"""Faults put into the code on purpose, to see that the simulation notices each of them.

``python -m tests.simulation.mutants [NAME …]`` runs seeds against one mutant after the other until
something is wrong, prints at which seed that was, and fails if a mutant survives.
"""

from __future__ import annotations
import __future__

import inspect
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from textwrap import dedent
from typing import Any
from unittest import mock

from attrs import frozen

import eventstore.apply
import eventstore.commit
import eventstore.log
import eventstore.tail
import eventstore.writer
import projections.store
import transport.ack_ranges
import transport.connection
import transport.heartbeat
import transport.hub
import transport.intake
import transport.opening
import transport.recorder
import transport.replayer
import transport.session
from tests.simulation.run import simulate

SEEDS_MAX = 200


@frozen
class Mutant:
    """In the source of ``owner.attr``, ``old`` (there once) becomes ``new``."""

    name: str
    owner: Any
    attr: str
    old: str
    new: str


MUTANTS = (
    Mutant(
        "acknowledged before COMMIT", eventstore.commit.Committer, "_write",
        "    await self._live_writer.commit(applied)\n",
        "    for append, receipts in zip(group, applied.receipts): append.resolve(receipts)\n"
        "    await self._live_writer.commit(applied)\n",
    ),
    Mutant(
        "delivered before COMMIT", eventstore.commit.Committer, "_write",
        "    await self._live_writer.commit(applied)\n",
        "    self._advance(applied.head, list(applied.events)); applied.events.clear()\n"
        "    await self._live_writer.commit(applied)\n",
    ),
    Mutant(
        "a found commit is not announced", eventstore.commit.Committer, "_reopen",
        "self._advance(head, events)", "self.head = head",
    ),
    Mutant(
        "no new writer after a failure", eventstore.commit.Committer, "_stop_and_reopen",
        "await self._reopen()", "self.state = State.WRITING",
    ),
    Mutant(
        "keys are not stored", eventstore.writer, "_packed",
        "key is not None", "False",
    ),
    Mutant(
        "keys are not looked up", eventstore.commit, "keys_of",
        "return [", "return [] and [",
    ),
    Mutant(
        "time follows the wall clock", eventstore.apply._Batch, "_record",
        "recorded_at = max(now, self.head.recorded_at + 1)", "recorded_at = now",
    ),
    Mutant(
        "the tail claims what it let go", eventstore.tail.Tail, "_trim",
        "self.since = self._positions[count - 1]", "self.since = self.since",
    ),
    Mutant(
        "the tail claims what it never had", eventstore.log.EventLog, "_prime_tail",
        "self.epoch, since,", "self.epoch, 0,",
    ),
    Mutant(
        "the tail shows all inboxes", eventstore.tail.Tail, "read",
        "if entry.inbox in inboxes:", "if entry:",
    ),
    Mutant(
        "the tail begins one too late", eventstore.tail.Tail, "read",
        "bisect_right(self._positions, after)", "bisect_right(self._positions, after + 1)",
    ),
    Mutant(
        "one session is not woken", transport.hub.Hub, "_wake",
        "list(self._members[audience])", "list(self._members[audience])[1:]",
    ),
    Mutant(
        "a commit does not clear pages", transport.hub.Hub, "_wake",
        "audience.advanced(self._newest.bound(audience.inboxes))",
        "audience.newest = self._newest.bound(audience.inboxes)",
    ),
    Mutant(
        "the pump drops a waiter", transport.hub.Hub, "_pump_forever",
        "await self._read_for(connection)",
        "await self._read_for(connection) if not self._for_disk else None",
    ),
    Mutant(
        "a regrant is ignored", transport.hub.Hub, "regrant",
        "self._change_grant(connection, grant)", "connection.grant = grant",
    ),
    Mutant(
        "a revocation is ignored", transport.hub.Hub, "regrant",
        "connection.close(refused.code, refused.reason)", "pass",
    ),
    Mutant(
        "the older connection stays", transport.hub.Hub, "_replace",
        "older.close(", "(lambda *_: None)(",
    ),
    Mutant(
        "a device just gone is taken for new", transport.hub.Hub, "_standing",
        "if not await self._recorder.flush(FLOOR_RECORDS_S):", "if False:",
    ),
    Mutant(
        "a resume is off by one", transport.connection.Connection, "__init__",
        "self.scanned = session.last_sent.position",
        "self.scanned = session.last_sent.position + 1",
    ),
    Mutant(
        "a made-up hash is believed", transport.opening, "judge",
        "if ours.hash8 != asked.hash8:", "if False:",
    ),
    Mutant(
        "the window is ignored", transport.session.Session, "deliver",
        "if page.events > events or page.bytes > size:", "if False:",
    ),
    Mutant(
        "an ack beyond what was sent", transport.session.Session, "_check",
        "if cursor.position > self._furthest.position:", "if False:",
    ),
    Mutant(
        "a rewind loses an event", transport.session.Session, "rewind",
        "self.last_sent = self.floor",
        "self.last_sent = self._rewound.first if self._rewound else self.floor",
    ),
    Mutant(
        "a rewind counts twice", transport.session.Session, "deliver",
        "self._rewound.take_until(page.cursor.position)", "pass",
    ),
    Mutant(
        "the last range is forgotten", transport.session.Session, "lost",
        "self._record_acks(now)", "pass",
    ),
    Mutant(
        "a cursor acknowledges nothing", transport.opening.Opening, "records",
        "if self.standing and (floor := self.standing.floor) < start:", "if False:",
    ),
    Mutant(
        "what is recorded counts again", transport.session.Session, "__init__",
        "max(start.position, settled)", "start.position",
    ),
    Mutant(
        "an ack counts one too many", transport.ack_ranges.AckRanges, "add",
        "self._count += count", "self._count += count + 1",
    ),
    Mutant(
        "an audience changes midway", transport.hub.Hub, "_change_grant",
        'connection.close(CloseCode.ACCESS_CHANGED, "the inboxes you may see have changed")',
        "self._leave_audience(connection); connection.audience = self._audience(grant.inboxes);"
        " self._members[connection.audience][connection] = None;"
        " connection.scanned = connection.session.last_sent.position",
    ),
    Mutant(
        "a skip is not told", transport.session.Session, "skip",
        "self.frames.append(Packet.of(skipped))", "pass",
    ),
    Mutant(
        "a skip is not recorded", transport.opening.Opening, "trim",
        "self.settled >= self.skipped.cursor.position", "True",
    ),
    Mutant(
        "a skip takes one too many", transport.opening, "overflow",
        "await log.newest_visible(limits.events_max + 1, inboxes)",
        "await log.newest_visible(limits.events_max, inboxes)",
    ),
    Mutant(
        "what was asked for while away is forgotten", transport.replayer.Replayer, "opened",
        "if wanted:", "if False:",
    ),
    Mutant(
        "a closed device is sent it all the same", transport.hub, "prepare_opening",
        "0 if standing is None else standing.closed_until", "0",
    ),
    Mutant(
        "a device is asked for too early", transport.hub.Hub, "prepare",
        "self._begun.get(device, 0) == count", "True",
    ),
    Mutant(
        "the recorder drops what fails", transport.recorder.Recorder, "_append",
        "if not await self._landed(batch[0], head):", "if False:",
    ),
    Mutant(
        "the recorder repeats blindly", transport.recorder.Recorder, "_append",
        "if not await self._landed(batch[0], head):", "if True:",
    ),
    Mutant(
        "a dead peer is kept", transport.heartbeat.Pulse, "beat",
        "if self.gone:", "if False:",
    ),
    Mutant(
        "a page's first event is not folded", projections.store.Store, "fold",
        "folded = fold(page, ", "folded = fold(page[1:], ",
    ),
    Mutant(
        "the client hands repeats out", transport.intake.Intake, "take_events",
        "if event.position > last.position]", "]",
    ),
    Mutant(
        "the client takes a gap", transport.intake.Intake, "follows",
        "if after.position > last.position:", "if False:",
    ),
    Mutant(
        "the client acks before handling", transport.intake.Intake, "_plan_ack",
        "self.acks.want(self.durable)", "self.acks.want(self.received or self.durable)",
    ),
)  # fmt: skip


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """The code with its fault."""
    found = inspect.getattr_static(mutant.owner, mutant.attr)
    function: Any = found.fget if isinstance(found, property) else found
    source = dedent(inspect.getsource(function))
    assert source.count(mutant.old) == 1, f"{mutant.name}: {mutant.attr} has changed"
    flags = __future__.annotations.compiler_flag
    code = compile(source.replace(mutant.old, mutant.new), mutant.name, "exec", flags)
    made: dict[str, Any] = {}
    exec(code, function.__globals__, made)  # noqa: S102 - our own code, with a fault put in
    with mock.patch.object(mutant.owner, mutant.attr, made[mutant.attr]):
        yield


@frozen
class Catch:
    """The seed at which a mutant was seen, None for one that survives; and what was wrong."""

    seed: int | None
    wrong: str
    seconds: float


def hunt(mutant: Mutant) -> Catch:
    """Live through seeds until something is wrong."""
    started = time.monotonic()
    with planted(mutant):
        for seed in range(1, SEEDS_MAX + 1):
            if wrong := simulate(seed).wrong:
                return Catch(seed, wrong[0], time.monotonic() - started)
    return Catch(None, "", time.monotonic() - started)


def _hunt(number: int) -> Catch:
    return hunt(MUTANTS[number])


def main(names: Sequence[str]) -> int:
    """The table, in Markdown; 1 if a mutant survives."""
    chosen = [number for number, each in enumerate(MUTANTS) if not names or each.name in names]
    started, survivors = time.monotonic(), 0
    print("| mutant | seed | what was wrong | seconds |\n|---|--:|---|--:|")
    with ProcessPoolExecutor() as pool:
        for number, catch in zip(chosen, pool.map(_hunt, chosen), strict=True):
            survivors += catch.seed is None
            wrong = catch.wrong.replace("|", "\\|")[:110]
            seed = catch.seed or "survives"
            print(
                f"| {MUTANTS[number].name} | {seed} | {wrong} | {catch.seconds:.0f} |", flush=True
            )
    took_s = time.monotonic() - started
    print(f"\n{len(chosen) - survivors} of {len(chosen)} caught in {took_s:.0f} s")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
