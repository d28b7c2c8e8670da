"""``/debug/…`` for admins: who is connected and how well, what waits, and with which settings."""

from __future__ import annotations

import platform
import sqlite3
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api.auth import Principal
from api.house import RELEASE, House
from api.routes import query
from api.routes.answer import as_json
from api.settings import in_force
from projections.deliveries import list_deliveries, list_parked
from projections.projection import to_json
from transport.hub import Connection

CONNECTIONS_MAX = 1_000
BEHIND_MAX = 1_000
DEVICES_MAX = 1_000


async def get_connections(request: Request, _: Principal) -> Response:
    """The open sessions, the oldest first: since when, how good, how far, what is in flight.

    ``behind`` counts the events that the device may see and has not acknowledged, up to 1,000.
    """
    house: House = request.state.house
    given = query.parameters(request, user=query.name, limit=query.page_limit(CONNECTIONS_MAX))
    wanted = given.get("user")
    found = [each for each in house.hub.connections if wanted in (None, each.user)]
    shown = found[: given.get("limit", CONNECTIONS_MAX)]
    rows = [await _connection(house, each) for each in shown]
    return as_json({"connections": rows, "count": len(found), "head": house.log.head.position})


async def _connection(house: House, connection: Connection) -> dict[str, Any]:
    session, inboxes = connection.session, connection.audience.inboxes
    events, size = session.in_flight
    floor = session.floor
    behind = await house.log.count_visible(floor.position, inboxes, most=BEHIND_MAX)
    return {
        "session": session.id,
        "user": connection.user,
        "device": connection.device,
        "address": connection.address,
        "inboxes": sorted(inboxes),
        "opened_at": connection.opened_at,
        "state": session.state.name.lower(),
        "quality": session.quality,
        "rtt_ms": session.rtt_ms,
        "attempt": session.attempt,
        "sent": str(session.last_sent),
        "acknowledged": str(floor),
        "behind": behind,
        "in_flight": {"events": events, "bytes": size},
        "writable": connection.channel.writable,
    }


async def get_deliveries(request: Request, _: Principal) -> Response:
    """Each device's deliveries as the log has them, and what was put aside, the newest first."""
    house: House = request.state.house
    given = query.parameters(request, limit=query.page_limit(DEVICES_MAX))
    limit = given.get("limit", DEVICES_MAX)
    devices = await house.projector.fetch(list_deliveries(limit=limit))
    parked = await house.projector.fetch(list_parked(limit=limit))
    return as_json(
        {
            "deliveries": [to_json(row) for row in devices.rows[:limit]],
            "parked": [to_json(row) for row in parked.rows],
            "count": len(devices.rows),
            "cursor": str(devices.cursor),
        }
    )


async def get_config(request: Request, _: Principal) -> Response:
    """What runs here, and every setting as it is in force; of a secret only that it is set."""
    house: House = request.state.house
    query.parameters(request)
    return as_json(
        {
            "release": RELEASE,
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
            "boot": house.boot,
            "epoch": house.log.epoch,
            "settings": in_force(house.settings),
        }
    )
