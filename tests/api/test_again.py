"""Work that is done again and again."""

from __future__ import annotations

import asyncio

import pytest
import structlog

from api.again import again_and_again


def test_what_passes_is_logged_and_the_work_goes_on_until_something_else_is_raised() -> None:
    """A full disk is a matter of a moment; a fault of ours ends the task, which is shown."""
    came = iter([None, TimeoutError("the disk is full"), None, KeyError("ours")])
    done = []

    async def work() -> None:
        what = next(came)
        done.append(what)
        if what is not None:
            raise what

    async def scenario() -> None:
        await again_and_again(
            work, first_after_s=0.0, every_s=0.0, despite=(TimeoutError,), trouble="no luck"
        )

    with structlog.testing.capture_logs() as lines, pytest.raises(KeyError):
        asyncio.run(scenario())
    assert len(done) == 4
    assert [(line["event"], line["reason"]) for line in lines] == [("no luck", "the disk is full")]
