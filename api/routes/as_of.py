"""``as_of``: a question put to the past, by position or by time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from starlette.requests import Request

from api.house import House
from api.moment import Moment, position_of
from api.routes import query
from projections.projection import Answer, Query

T = TypeVar("T")


def moment(text: str) -> Moment:
    """Reads a position or a time."""
    if text.isascii() and text.isdigit():
        return Moment(position=query.position(text))
    return Moment(time_us=query.time_us(text))


async def position(request: Request, given: Mapping[str, Any]) -> int:
    """The position that is asked about; without ``as_of`` that which the rows have come to."""
    house: House = request.state.house
    if "as_of" not in given:
        return house.projector.position
    return await position_of(house.log, given["as_of"])


async def answered(request: Request, given: Mapping[str, Any], asked: Query[T]) -> Answer[T]:
    """The answer as it is now, or, where ``as_of`` is given, as it was then."""
    house: House = request.state.house
    if "as_of" not in given:
        return await house.projector.fetch(asked)
    return await answered_at(request, await position(request, given), asked)


async def answered_at(request: Request, position: int, asked: Query[T]) -> Answer[T]:
    """The answer as it was at a position, once the rows have come so far."""
    house: House = request.state.house
    return await house.projector.fetch_as_of(position, asked)
