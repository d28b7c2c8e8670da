"""The play: who does what when, until it is to stop, and the reckoning at the end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from attrs import frozen

from api.demo.agent import Agent
from api.demo.display import Display
from api.demo.journey import Journey
from api.demo.provider import Provider
from api.demo.stage import INBOX, PROVIDER, VISITOR, Keys, furnish
from api.house import House
from api.providers import PROVIDERS
from api.sender import Delivered, Sender
from api.simulator import Simulator
from eventstore.events import RecordedEvent
from eventstore.log import wall_clock_us

AT_ONCE = 8
FRAME_S = 0.05
"""How often the screen is brought up to date; the times shown do not depend on it."""

READY_TIMEOUT_S = 10.0
SETTLE_TIMEOUT_S = 5.0
TROUBLE_AFTER = (8, 30)
"""Messages until the first agent loses its network, and at most until the next one does."""

AWAY_MESSAGES, AWAY_S = (3, 8), (4.0, 10.0)


@frozen
class Limits:
    """How fast and how long; None: at a human pace, until Ctrl-C."""

    rate: float | None = None
    seconds: float | None = None
    messages: int | None = None


@frozen
class Reckoning:
    """What was handled. ``deliveries``: events that an agent's application got, each counted once.

    ``lost`` counts, for each agent, the events that it should have got and did not.
    ``receipts``: position to chain hash, as the provider was given them.
    """

    events: int
    messages: int
    deliveries: int
    duplicates: int
    lost: int
    receipts: Mapping[int, str]


async def play(
    house: House,
    url: str,
    dice: random.Random,
    limits: Limits,
    display: Display,
    stop: asyncio.Event,
) -> Reckoning:
    """Perform until ``stop`` or a limit; raise what made a player fail."""
    keys = await furnish(house.records)
    agents, journey = _cast(keys)
    _follow(house, journey)
    provider = _provider(keys, url, dice, limits.rate, journey)
    players = [asyncio.create_task(agent.work(url)) for agent in agents]
    try:
        await _all_live(agents, players)
        began_after = house.log.head.position
        display.note("agents", f"{' and '.join(each.name for each in agents)} are connected")
        display.box(f"{url}/#token={keys.visitor}", *_explained(url))
        players += [
            asyncio.create_task(_show(journey, display, limits, stop)),
            asyncio.create_task(_cut_networks(agents, journey, dice)),
            posting := asyncio.create_task(provider.work()),
        ]
        await _until_stopped(stop, players, limits.seconds)
        provider.stopping.set()
        await posting
        await _settle(agents, journey)
        for line in journey.lines(wall_clock_us()):
            display.show(line)
    finally:
        await _dismiss(players)
    return _reckon(journey, provider, agents, began_after)


def _explained(url: str) -> Sequence[str]:
    return (
        "Open it: the inbox, as these messages reach it. Pull its cable and watch it recover.",
        "The clock beside the search shows its past (t); your menu has Operations.",
        f"The token opens the API too, for a day, as `{VISITOR}`: {url}/v1/conversations",
    )


def _cast(keys: Keys) -> tuple[Sequence[Agent], Journey]:
    def opened(name: str) -> None:
        journey.opened(name, wall_clock_us())

    def acknowledged(name: str, position: int) -> None:
        journey.acknowledged(name, position, wall_clock_us())

    agents = [
        Agent(user, device, token, opened, acknowledged)
        for (user, device), token in keys.agents.items()
    ]
    journey = Journey(frozenset(agent.name for agent in agents))
    return agents, journey


def _follow(house: House, journey: Journey) -> None:
    """Tell the journey of every commit, after those who need to know."""
    told = house.log.on_commit

    def committed(events: Sequence[RecordedEvent]) -> None:
        told(events)
        journey.committed(events)

    house.log.on_commit = committed


def _provider(
    keys: Keys, url: str, dice: random.Random, rate: float | None, journey: Journey
) -> Provider:
    def answered(delivered: Delivered) -> None:
        journey.answered(delivered.positions, delivered.elapsed_ms, duplicate=delivered.repeat)

    senders = [Sender(url, INBOX, PROVIDERS[PROVIDER], keys.secret) for _ in range(AT_ONCE)]
    return Provider(Simulator(dice, PROVIDER), senders, dice, answered, rate)


async def _all_live(agents: Sequence[Agent], players: Sequence[asyncio.Task[None]]) -> None:
    deadline = asyncio.get_running_loop().time() + READY_TIMEOUT_S
    while not all(agent.live.is_set() for agent in agents):
        _raise_failure(players)
        if asyncio.get_running_loop().time() > deadline:
            raise TimeoutError(f"the agents could not connect within {READY_TIMEOUT_S:.0f} s")
        await asyncio.sleep(FRAME_S)


async def _until_stopped(
    stop: asyncio.Event, players: Sequence[asyncio.Task[None]], seconds: float | None
) -> None:
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({stopped, *players}, timeout=seconds, return_when="FIRST_COMPLETED")
    stopped.cancel()
    _raise_failure(players)


def _raise_failure(players: Sequence[asyncio.Task[None]]) -> None:
    for player in players:
        if player.done():
            player.result()


async def _show(journey: Journey, display: Display, limits: Limits, stop: asyncio.Event) -> None:
    while True:
        for line in journey.lines(wall_clock_us()):
            display.show(line)
        if limits.messages is not None and journey.messages >= limits.messages:
            stop.set()
        await asyncio.sleep(FRAME_S)


async def _cut_networks(agents: Sequence[Agent], journey: Journey, dice: random.Random) -> None:
    """Every now and then one agent is away for some messages; the phone first."""
    pause = TROUBLE_AFTER[0]
    for turn in range(1, 1_000_000):
        agent = agents[turn % len(agents)]
        await _messages(journey, pause)
        await agent.lose_network()
        with suppress(TimeoutError):
            away_s = dice.uniform(*AWAY_S)
            await asyncio.wait_for(_messages(journey, dice.randint(*AWAY_MESSAGES)), away_s)
        agent.find_network()
        pause = dice.randint(*TROUBLE_AFTER)


async def _messages(journey: Journey, count: int) -> None:
    goal = journey.messages + count
    await _until(lambda: journey.messages >= goal)


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - the journey is pure and rings no bell
        await asyncio.sleep(FRAME_S)


async def _settle(agents: Sequence[Agent], journey: Journey) -> None:
    """Give the last events their time: everybody back, everything acknowledged and shown."""
    for agent in agents:
        agent.find_network()

    def settled() -> bool:
        return journey.settled and all(agent.live.is_set() for agent in agents)

    with suppress(TimeoutError):
        await asyncio.wait_for(_until(settled), SETTLE_TIMEOUT_S)


async def _dismiss(players: Sequence[asyncio.Task[None]]) -> None:
    for player in players:
        player.cancel()
    await asyncio.gather(*players, return_exceptions=True)


def _reckon(
    journey: Journey, provider: Provider, agents: Sequence[Agent], began_after: int
) -> Reckoning:
    due = {position for position in journey.visible if position > began_after}
    handled = [due.intersection(agent.handled) for agent in agents]
    return Reckoning(
        events=len(due),
        messages=journey.messages,
        deliveries=sum(map(len, handled)),
        duplicates=journey.duplicates,
        lost=sum(len(due - each) for each in handled),
        receipts=provider.receipts,
    )
