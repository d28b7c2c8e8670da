"""Whether the ledger balances: looked at once a minute, so that a fault is seen by somebody."""

from __future__ import annotations

import asyncio
import sqlite3

import structlog
from attrs import define

from projections.ledger import Account, list_accounts
from projections.projector import ProjectionsBehind, Projector

CHECKED_EVERY_S = 60.0
PAGE_DEVICES = 200
"""A page at a time: other questions come between."""

NAMED_MAX = 100

_log = structlog.get_logger()


@define
class Balance:
    """``unbalanced`` are the first devices that had a residue when last looked at."""

    unbalanced: tuple[Account, ...] = ()

    @property
    def residue(self) -> int:
        """How many events nobody can account for, at these devices."""
        return sum(abs(account.residue) for account in self.unbalanced)

    async def run(self, projector: Projector) -> None:
        """Look again and again, until cancelled."""
        while True:
            try:
                await self.look(projector)
            except (ProjectionsBehind, sqlite3.Error) as error:
                _log.info("the ledger cannot be looked at", reason=str(error))
            await asyncio.sleep(CHECKED_EVERY_S)

    async def look(self, projector: Projector) -> None:
        """Go through all accounts, once. Raises ProjectionsBehind, and sqlite3.Error."""
        found: list[Account] = []
        after = ("", "")
        while True:
            answer = await projector.fetch(list_accounts(after=after, limit=PAGE_DEVICES))
            found += [account for account in answer.rows if account.residue]
            if len(answer.rows) < PAGE_DEVICES or len(found) >= NAMED_MAX:
                break
            after = (answer.rows[-1].user, answer.rows[-1].device)
        for account in found if not self.unbalanced else ():
            whose = f"{account.user}/{account.device}"
            _log.error("the ledger does not balance", device=whose, residue=account.residue)
        self.unbalanced = tuple(found)
