"""``create_app(settings)``: the routes, the middleware and the lifespan; the wiring, all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route, WebSocketRoute

from api import problems
from api.auth import ADMINS, ANYONE_INSIDE, AUDITORS, WRITERS, only
from api.control import serve_control
from api.expiry import expire_devices
from api.house import House, State, open_house
from api.middleware import AddressLimit, Answers, Hosts
from api.rate_limits import RateLimits
from api.refusals import record_refusals
from api.retention import compact_heartbeats
from api.routes import (
    audit,
    contract,
    conversations,
    debug,
    deliveries,
    events,
    health,
    history,
    ledger,
    me,
    metrics,
    presence,
    sample,
    screen,
    sync,
    trace,
    webhooks,
)
from api.routes.inbox import WebInbox
from api.routes.live import LiveSessions
from api.settings import Settings
from api.tally import Tally
from eventstore.log import LogUnavailable
from projections.projector import HistoryTooLong, PositionUnknown, ProjectionsBehind

Lifespan: TypeAlias = Callable[[Starlette], AbstractAsyncContextManager[State]]

ROUTES = (
    Route("/webhooks/{inbox}", webhooks.receive, methods=["POST"]),
    Route("/webhooks/{inbox}", webhooks.challenge, methods=["GET"]),
    Route("/v1/me", only(ANYONE_INSIDE, me.get_me)),
    Route("/v1/sync", only(ANYONE_INSIDE, sync.get_sync)),
    Route("/v1/conversations", only(ANYONE_INSIDE, conversations.get_conversations)),
    Route("/v1/conversations/{id}", only(ANYONE_INSIDE, conversations.get_one)),
    Route("/v1/conversations/{id}/messages", only(ANYONE_INSIDE, conversations.get_messages)),
    Route("/v1/conversations/{id}/read", only(WRITERS, conversations.post_read), methods=["POST"]),
    Route(
        "/v1/inboxes/{inbox}/test-message",
        only(ADMINS, sample.post_test_message),
        methods=["POST"],
    ),
    Route("/v1/events", only(ANYONE_INSIDE, events.get_events)),
    WebSocketRoute("/v1/ws", LiveSessions()),
    Route("/v1/deliveries", only(ANYONE_INSIDE, deliveries.get_deliveries)),
    Route("/v1/deliveries/{device}/replay", only(ADMINS, deliveries.post_replay), methods=["POST"]),
    Route("/v1/audit/checkpoint", only(AUDITORS, audit.get_checkpoint)),
    Route("/v1/audit/events", only(AUDITORS, history.get_history)),
    Route("/v1/audit/ledger", only(AUDITORS, ledger.get_ledger)),
    Route("/v1/audit/presence", only(AUDITORS, presence.get_presence)),
    Route("/v1/audit/screen", only(AUDITORS, screen.get_screen)),
    Route("/v1/audit/trace/{position}", only(AUDITORS, trace.get_trace)),
    Route("/v1/audit/redact", only(AUDITORS, audit.post_redact), methods=["POST"]),
    Route("/v1/audit/checkpoints", only(AUDITORS, audit.get_checkpoints)),
    Route("/v1/metrics/history", only(AUDITORS, metrics.get_history)),
    Route("/debug/connections", only(ADMINS, debug.get_connections)),
    Route("/debug/deliveries", only(ADMINS, debug.get_deliveries)),
    Route("/debug/config", only(ADMINS, debug.get_config)),
    Route("/livez", health.livez),
    Route("/readyz", health.readyz),
    Route("/metrics", metrics.get_metrics),
    Route("/openapi.json", contract.get_openapi),
    Route("/asyncapi.json", contract.get_asyncapi),
)

EXCEPTION_HANDLERS = {
    problems.Problem: problems.answer_problem,
    LogUnavailable: problems.answer_log_unavailable,
    ProjectionsBehind: problems.answer_projections_behind,
    PositionUnknown: problems.answer_position_unknown,
    HistoryTooLong: problems.answer_history_too_long,
    HTTPException: problems.answer_http_exception,
}


def create_app(
    settings: Settings, house: House | None = None, more: Sequence[BaseRoute] = ()
) -> Starlette:
    """The ASGI application.

    Its lifespan opens the data folder and lets it go again; or it serves a ``house`` that the
    caller has opened and will close, as ``malote serve`` does in order to fail with one clear line.
    ``more`` are routes beside the usual ones.
    """
    tally, limits = Tally(), RateLimits.of(settings)
    app = Starlette(
        routes=(*ROUTES, *WebInbox().routes, *more),
        middleware=(
            Middleware(Answers, tally=tally),
            Middleware(Hosts, allowed=settings.hosts, tally=tally),
            Middleware(AddressLimit, limits=limits, tally=tally),
        ),
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=_opening(settings, tally) if house is None else _given(house, tally),
    )
    app.state.tally, app.state.limits = tally, limits
    app.router.redirect_slashes = False  # a redirected POST would lose its body, or its signature
    return app


def _start_tasks(house: House, tally: Tally) -> None:
    age_s = house.settings.device_expiry_days * 86_400
    house.tasks.start("refusals", partial(record_refusals, house, tally))
    kept_s = house.settings.heartbeat_retention_hours * 3_600
    house.tasks.start("retention", partial(compact_heartbeats, house, age_s=kept_s))
    house.tasks.start("expiry", partial(expire_devices, house.records, house.hub, age_s=age_s))


def _opening(settings: Settings, tally: Tally) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        async with open_house(settings) as house, serve_control(house.records, settings.data):
            _start_tasks(house, tally)
            yield State(house=house)

    return lifespan


def _given(house: House, tally: Tally) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[State]:
        async with serve_control(house.records, house.settings.data):
            _start_tasks(house, tally)
            yield State(house=house)

    return lifespan
