"""Conversations and their messages, as they stand or as they stood (PROTOCOL section 2).

Every answer comes with the cursor at which it stands: snapshot plus the events after it is the
later snapshot (GUARANTEES, G10).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from api.auth import Principal
from api.house import House
from api.problems import BAD_REQUEST, NOT_FOUND, Problem
from api.routes import as_of, query
from api.routes.answer import as_json
from eventstore.draft import Draft, idempotency_key
from eventstore.events import ConversationRead
from eventstore.log import EventLog
from projections.conversations import get_conversation, list_conversations
from projections.messages import list_messages
from projections.projection import Answer, to_json
from projections.projector import ProjectionsBehind
from projections.search import search_conversations

T = TypeVar("T")
PAGE_MAX = 200
READ_BYTES_MAX = 4 * 1024
Q_CHARS_MAX = 200


_PAGE: Mapping[str, Callable[[str], Any]] = {
    "limit": query.page_limit(PAGE_MAX),
    "before": query.position,
    "as_of": as_of.moment,
}


async def get_conversations(request: Request, principal: Principal) -> Response:
    """A page of conversations, the newest first; ``before`` is the last one's position.

    With ``q`` those in which it is found, each with the message that matches.
    """
    given = query.parameters(request, inbox=query.name, q=_words, **_PAGE)
    if "q" in given:
        return await _search(request, principal, given)
    asked = list_conversations(principal.inboxes, **_without_as_of(given))
    return _page("conversations", await as_of.answered(request, given, asked))


async def _search(request: Request, principal: Principal, given: Mapping[str, Any]) -> Response:
    asked = search_conversations(principal.inboxes, **_without_as_of(given))
    answer = await as_of.answered(request, given, asked)
    rows = [{**to_json(found.conversation), "match": to_json(found.match)} for found in answer.rows]
    return as_json({"conversations": rows, "cursor": str(answer.cursor)})


def _words(text: str) -> str:
    if not text.strip() or len(text) > Q_CHARS_MAX:
        raise ValueError(f"words to look for, {Q_CHARS_MAX} characters at most")
    return text


async def get_one(request: Request, principal: Principal) -> Response:
    """One conversation; 404 alike for one of another inbox and for one that never was."""
    given = query.parameters(request, as_of=as_of.moment)
    answer = await as_of.answered(request, given, get_conversation(principal.inboxes, _id(request)))
    [found] = _demand(answer.rows)
    return as_json({"conversation": to_json(found), "cursor": str(answer.cursor)})


async def get_messages(request: Request, principal: Principal) -> Response:
    """A page of a conversation's messages, the newest first."""
    given = query.parameters(request, **_PAGE)
    conversation = get_conversation(principal.inboxes, _id(request))
    _demand((await as_of.answered(request, given, conversation)).rows)
    asked = list_messages(principal.inboxes, _id(request), **_without_as_of(given))
    return _page("messages", await as_of.answered(request, given, asked))


async def post_read(request: Request, principal: Principal) -> Response:
    """Record that the user has seen the conversation up to a position; a repeat adds nothing."""
    house: House = request.state.house
    query.parameters(request)
    position = await _position_read(request, house.log)
    answer = await house.projector.fetch(get_conversation(principal.inboxes, _id(request)))
    [found] = _demand(answer.rows)
    read = Draft(
        f"inbox:{found.inbox}",
        ConversationRead(position=position, by=principal.user),
        conversation=found.id,
        key=idempotency_key(found.inbox, "read", found.id, principal.user, str(position)),
        correlation_id=request.scope["request_id"],
    )
    [receipt] = await house.log.append([read])
    with suppress(ProjectionsBehind, TimeoutError):  # it is durable, which is what we answer
        async with asyncio.timeout(house.settings.sync_wait_s):
            await house.projector.wait_for(receipt.position)
    return as_json({"position": receipt.position, "hash": receipt.hash.hex()})


async def _position_read(request: Request, log: EventLog) -> int:
    given = await query.json_body(request, READ_BYTES_MAX)
    position = given.get("position") if isinstance(given, dict) and len(given) == 1 else None
    if type(position) is not int or not 0 < position <= log.head.position:
        raise Problem(BAD_REQUEST, 'the body is {"position": …}, a position in the log')
    return position


def _id(request: Request) -> str:
    found: str = request.path_params["id"]
    return found


def _without_as_of(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != "as_of"}


def _demand(rows: Sequence[T]) -> Sequence[T]:
    if not rows:
        raise Problem(NOT_FOUND)
    return rows


def _page(name: str, answer: Answer[Any]) -> Response:
    rows = [to_json(row) for row in answer.rows]
    return as_json({name: rows, "cursor": str(answer.cursor)})
