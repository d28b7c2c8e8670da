"""``malote simulate``: correctly signed sample webhooks, over HTTP, at a rate."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from statistics import quantiles

import click
import orjson
from attrs import define, field

from api.commands.asking import ask, run
from api.commands.exits import Failed, data_folder, settings
from api.keyring import FILE_NAME, Keyring
from api.providers import PROVIDERS, Secret, SecretMalformed
from api.providers.contract import active
from api.sender import Delivered, NotDelivered, Refused, Sender
from api.simulator import PLAYS, Simulator

UNDER_WAY_MAX = 16
TIMES_KEPT = 100_000
LINES_A_SECOND_MAX = 20.0
"""Above this rate a line for each would be noise: the summary says it all."""


@define
class Tally:
    """What became of the webhooks so far."""

    taken: int = 0
    duplicates: int = 0
    retries: int = 0
    failed: int = 0
    elapsed_ms: deque[float] = field(factory=lambda: deque(maxlen=TIMES_KEPT))
    started: float = field(factory=time.monotonic)

    def add(self, delivered: Delivered) -> None:
        """Count one that was answered 2xx."""
        self.taken += 1
        self.duplicates += delivered.repeat
        self.retries += delivered.attempts - 1
        self.elapsed_ms.append(delivered.elapsed_ms)

    def summary(self) -> dict[str, float]:
        """The numbers for people and programs; times in ms of the attempt that was taken."""
        seconds = max(time.monotonic() - self.started, 1e-9)
        numbers: dict[str, float] = {
            "taken": self.taken,
            "failed": self.failed,
            "duplicates": self.duplicates,
            "retries": self.retries,
            "seconds": round(seconds, 2),
            "per_second": round(self.taken / seconds, 1),
        }
        if len(self.elapsed_ms) > 1:
            cuts = quantiles(self.elapsed_ms, n=100)
            numbers |= {"p50_ms": round(cuts[49], 2), "p99_ms": round(cuts[98], 2)}
        return numbers


@click.command()
@click.argument("inbox")
@click.option("--rate", default=1.0, show_default=True, type=click.FloatRange(0.01, 10_000))
@click.option("--count", type=click.IntRange(1), help="Stop after so many; default: at Ctrl-C.")
@click.option("--url", help="The server; default: as MALOTE_HOST and MALOTE_PORT say.")
@click.option("--provider", type=click.Choice(sorted(PLAYS)), help="Default: the inbox's own.")
@click.option("--secret", help="The inbox's; default: from the keyring of the data folder.")
@click.option("--seed", type=int, help="The same seed is the same webhooks.")
@click.option("--json", "as_json", is_flag=True, help="The summary as one JSON object.")
def simulate(
    inbox: str,
    rate: float,
    count: int | None,
    url: str | None,
    provider: str | None,
    secret: str | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """Post signed sample webhooks to INBOX, and repeat those that are not taken, as providers do.

    RATE is webhooks a second. What is measured is the whole request: signature, append, COMMIT.
    """
    name = provider or _provider_of(inbox)
    key = Secret(secret.encode()) if secret else _secret_of(inbox)
    dice = random.Random(secrets.randbits(64) if seed is None else seed)  # noqa: S311 - a play
    simulator = Simulator(dice, name)
    base = url or settings().base_url
    try:
        PROVIDERS[name].check_secret(key)
        senders = [Sender(base, inbox, PROVIDERS[name], key) for _ in range(UNDER_WAY_MAX)]
    except (SecretMalformed, ValueError) as wrong:
        raise click.UsageError(str(wrong)) from None
    tally = Tally()
    quiet = as_json or rate > LINES_A_SECOND_MAX
    with suppress(KeyboardInterrupt):
        run(_simulate(simulator, senders, tally, rate, count, quiet))
    _report(tally, as_json)


def _provider_of(inbox: str) -> str:
    for row in ask("list_inboxes"):
        if row["inbox"] == inbox:
            return str(row["provider"])
    raise Failed(f"there is no inbox {inbox} in {data_folder()}; elsewhere: --provider, --secret")


def _secret_of(inbox: str) -> Secret:
    keyring = Keyring(data_folder() / FILE_NAME)
    alive = active(keyring.secrets(inbox), int(time.time()))
    if not alive:
        raise Failed(f"{data_folder()} has no secret of inbox {inbox}; give it with --secret")
    return alive[0]


async def _simulate(
    simulator: Simulator,
    senders: Sequence[Sender],
    tally: Tally,
    rate: float,
    count: int | None,
    quiet: bool,
) -> None:
    free: asyncio.Queue[Sender] = asyncio.Queue()
    for sender in senders:
        free.put_nowait(sender)
    number, due = 0, asyncio.get_running_loop().time()
    try:
        async with asyncio.TaskGroup() as group:
            while count is None or number < count:
                sender = await free.get()
                body = simulator.next(int(time.time()))
                group.create_task(_post(sender, body, tally, free, quiet))
                number += 1
                due += 1 / rate
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
    finally:
        for sender in senders:
            sender.close()


async def _post(
    sender: Sender, body: bytes, tally: Tally, free: asyncio.Queue[Sender], quiet: bool
) -> None:
    try:
        delivered = await sender.deliver(body)
    except (Refused, NotDelivered) as trouble:
        tally.failed += 1
        click.echo(f"{time.strftime('%H:%M:%S')}  not taken: {trouble}", err=True)
    else:
        tally.add(delivered)
        if not quiet:
            click.echo(_line(delivered))
    finally:
        free.put_nowait(sender)


def _line(delivered: Delivered) -> str:
    positions = ", ".join(map(str, delivered.positions)) or "?"
    again = "  duplicate" if delivered.repeat else ""
    retried = f"  attempt {delivered.attempts}" if delivered.attempts > 1 else ""
    at = time.strftime("%H:%M:%S")
    return f"{at}  stored at {positions}  {delivered.elapsed_ms:.1f} ms{again}{retried}"


def _report(tally: Tally, as_json: bool) -> None:
    numbers = tally.summary()
    click.echo(orjson.dumps(numbers) if as_json else _sentence(numbers))
    if tally.failed:
        raise Failed(f"{tally.failed} of {tally.failed + tally.taken} were not taken")


def _sentence(numbers: dict[str, float]) -> str:
    times = (
        f", p50 {numbers['p50_ms']} ms, p99 {numbers['p99_ms']} ms" if "p50_ms" in numbers else ""
    )
    return (
        f"{numbers['taken']:,} taken in {numbers['seconds']} s ({numbers['per_second']}/s{times}); "
        f"{numbers['failed']} failed, {numbers['duplicates']} duplicates, "
        f"{numbers['retries']} repeated"
    )
