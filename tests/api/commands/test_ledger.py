"""``malote ledger``: the accounts from the log's file, as of any moment."""

from __future__ import annotations

from functools import partial

from api.commands.ledger import ledger
from eventstore.draft import Draft
from eventstore.events import DeliveryAcknowledged
from tests.api.commands.running import answered, commanded
from tests.api.serving import Place, chat, post, serving
from tests.api.test_ledger import asked, handle
from tests.api.test_trace import record

run, accounts = partial(commanded, ledger), partial(answered, ledger)


def test_the_command_and_the_route_say_the_same_at_any_moment(place: Place) -> None:
    """One from the file, the other from the rows, or folded by the server."""
    with serving(place.folder) as client:
        handle(client, place, 1, 2, 3)
        now = asked(client, place)["accounts"]
        position = now[0]["ack_floor"]
        then = asked(client, place, as_of=position)["accounts"]
        assert accounts(place.folder) == now, "beside the server"
    assert accounts(place.folder, "--at", str(position), "--device", "ana/d") == then != now
    assert run(place.folder).output == (
        f"ana/d  3 addressed = 2 acknowledged + 1 outstanding  (ack floor {position})\n"
    )


def test_an_account_that_does_not_balance_fails_the_command(place: Place) -> None:
    """A script can tell; the table is shown all the same."""
    with serving(place.folder) as client:
        handle(client, place, 1, 2)
        at = post(client, "support", chat("s-9")).json()["receipts"][0]["position"]
        record(client, Draft("client:ana/d", DeliveryAcknowledged("s", at - 1, at, 7)))
    result = run(place.folder)
    assert result.exit_code == 1
    assert "these accounts do not balance: ana/d" in result.output


def test_what_there_is_not_is_said(place: Place) -> None:
    """A device without an account, a position to come, a folder without a log."""
    for words, said in (
        (("--device", "ana/none"), "there was no device ana/none"),
        (("--at", "99999"), "there is no position 99999 yet"),
    ):
        result = run(place.folder, *words)
        assert result.exit_code == 1
        assert said in result.output
    empty = run(place.folder / "none")
    assert empty.exit_code == 3
