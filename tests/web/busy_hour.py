"""An hour that has been, written into a log before its server starts: for the pictures only."""

from __future__ import annotations

import math
import random
from pathlib import Path

from eventstore.draft import Draft
from eventstore.events import (
    ClientDisconnected,
    Contact,
    DeliveryAcknowledged,
    Event,
    HeartbeatAnswered,
    MessageReceived,
    Text,
)
from eventstore.log import EventLog, wall_clock_us

MINUTES = 58
MINUTE_US = 60_000_000
DEVICE = "client:bruno/phone"


async def happened(folder: Path) -> None:
    """Messages, acks, heartbeats and a few interruptions, minute by minute up to now."""
    dice = random.Random(8841)
    now_us = began_us = wall_clock_us() - (MINUTES + 1) * MINUTE_US
    log = await EventLog.open(folder, clock=lambda: now_us)
    try:
        for minute in range(MINUTES):
            now_us = began_us + minute * MINUTE_US
            await log.append(_drafts(minute, dice, log.head.position))
    finally:
        await log.close()


def _drafts(minute: int, dice: random.Random, head: int) -> list[Draft]:
    wave = 1.2 + math.sin(minute / 7)
    told = [_message(minute * 100 + each, dice) for each in range(round(wave * 9 * dice.random()))]
    trips = HeartbeatAnswered("s", 30 + 25 * wave * dice.random())
    also: list[Event] = [trips, trips]
    if told:
        also.append(DeliveryAcknowledged("s", head, head + len(told), len(told)))
    if minute in (17, 18, 41):
        also.append(ClientDisconnected("s", 1006, "no close"))
    return [*told, *(Draft(DEVICE, event) for event in also)]


def _message(number: int, dice: random.Random) -> Draft:
    contact = dice.randrange(20)
    said = MessageReceived(
        f"m{number}", Contact(f"c{contact}", f"Contact {contact}"), Text("hello")
    )
    return Draft("inbox:support", said, f"c_{contact}")
