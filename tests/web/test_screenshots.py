"""The README's pictures are made by a test: what it shows is what there is.

The pictures in ``docs/screenshots`` change only where ``MALOTE_SCREENSHOTS=keep`` asks for it
(`make screenshots`); every run makes them all the same, and they must be pictures of that state.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.world import recorded
from tests.web.busy_hour import happened
from tests.web.conftest import Profile
from tests.web.house import MISSING, ROOT, House, asked, opened, text
from tests.web.looking import live, open_row, pill
from tests.web.test_inbox_link import QUICK
from tests.web.test_operations import REFUSING

KEPT = ROOT / "docs/screenshots"
KEEP = os.environ.get("MALOTE_SCREENSHOTS") == "keep"
MEASURED_MS = 8_000 if KEEP else 1_000
"""What fills the lines of the round trips."""
SETTLED_MS = 800
"""The read mark, and rows at rest."""
BEHIND_IT = ("desktop-operations", "phone-operations", "desktop-past", "desktop-trace")
BYTES_MAX = 150_000
DESKTOP, PHONE = (1440, 900), (390, 844)


def media(kind: str, **fields: Any) -> dict[str, Any]:
    """The content of a message with a file."""
    return {"type": kind, kind: {"id": kind, **fields}}


PLACE = {
    "latitude": -23.5613,
    "longitude": -46.6565,
    "name": "Av. Paulista 1000",
    "address": "Bela Vista, São Paulo",
}
TALK: tuple[str | dict[str, Any], ...] = (
    text("Hi! Are you open on Saturday?"),
    "Good morning! Yes, from 9 to 1 😊",
    text("Perfect. One more thing: the box came like this"),
    media("image", mime_type="image/jpeg", caption="The lid is cracked"),
    media("document", mime_type="application/pdf", filename="invoice-8841.pdf"),
    "I am sorry. We send a new one today, you keep this one.",
    {"type": "location", "location": PLACE},
    media("audio", mime_type="audio/ogg", voice=True),
    "Got it, it leaves this afternoon: https://example.com/track/8841",
    text("Wow, that was quick. Thank you! 💚"),
)
"""What the contact sends, and, where it is only words, what the business answers."""

OTHERS = (
    ("Caio Tavares", "Meu pedido já saiu para entrega?"),
    ("Dandara Rocha", "Chegou tudo certinho, muito obrigada! 🙌"),
    ("Elias Monteiro", "Dá para parcelar em 3x?"),
    ("Ingrid Halvorsen", "Does it come in green?"),
    ("Kenji Morita", "Is the invoice in the box?"),
    ("Lúcia Prado", "Tem esse modelo na cor verde?"),
    ("Malik Osei", "Can I still change the address?"),
    ("Noor Haddad", "How long does delivery take?"),
    ("Otávio Brandão", "Pode deixar na portaria, por favor."),
    ("Priya Nair", "One more question: can I pay on delivery?"),
    ("Zoe Whitfield", "Everything arrived in one piece, thanks!"),
)


def furnished(house: House) -> None:
    """A working day's inbox."""
    for number, (name, said) in enumerate(OTHERS, start=2):
        house.say(*[said] * (1 if number % 3 else 2), contact=number, name=name)
    for number in (3, 6, 9):
        house.report(house.echo("Of course, it is on its way", contact=number), "delivered", number)
    for said in TALK:
        if isinstance(said, str):
            house.report(house.echo(said), "read")
        else:
            house.post([(1, "Beatriz Nogueira", said)])


def reading(page: Page) -> None:
    """A conversation, everything live."""
    open_row(page, "Beatriz")
    expect(page.locator(".bubble").last).to_contain_text("Thank you")
    page.wait_for_timeout(SETTLED_MS)


def with_details(page: Page) -> None:
    """The same, with the contact's details."""
    reading(page)
    page.get_by_role("button", name="Details").click()
    expect(page.get_by_role("complementary", name="Details")).to_be_visible()


def without_a_server(page: Page) -> None:
    """The link is lost; the popover says what is known."""
    reading(page)
    page.context.set_offline(True)
    expect(pill(page)).to_contain_text("Offline")
    pill(page).click()
    page.wait_for_timeout(300)


def synced(page: Page) -> None:
    """What the sync button says."""
    reading(page)
    page.get_by_role("button", name="Sync", exact=True).click()
    expect(page.locator(".toast")).to_contain_text("verified")


def listed(page: Page) -> None:
    """The list alone."""
    expect(page.get_by_role("option").first).to_be_visible()
    page.wait_for_timeout(500)


class Picture(NamedTuple):
    """One picture: what is done before it is taken."""

    name: str
    size: tuple[int, int]
    scheme: str
    before: Callable[[Page], None]


# A device that handles everything at once.
HANDLING = """([token, device]) => {
    const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/v1/ws`, 'malote.v1');
    const say = frame => socket.send(JSON.stringify(frame));
    socket.onopen = () => say({ type: 'hello', token, device, cursor: null });
    socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.type === 'ping') say({ type: 'pong', id: frame.id });
        if (frame.type === 'events') say({ type: 'ack', cursor: frame.cursor });
    };
}"""

PICTURES = (
    Picture("desktop-light", DESKTOP, "light", synced),
    Picture("desktop-dark", DESKTOP, "dark", with_details),
    Picture("desktop-offline", DESKTOP, "light", without_a_server),
    Picture("phone-list", PHONE, "light", listed),
    Picture("phone-conversation", PHONE, "dark", reading),
    Picture("phone-offline", PHONE, "light", without_a_server),
)


def test_the_main_states_are_as_the_readme_shows_them(
    house: House, profile: Profile, tmp_path: Path
) -> None:
    """Six pictures, none larger than 150 KB, and every one of them is in the README."""
    furnished(house)
    for picture in PICTURES:
        page = profile(*picture.size, color_scheme=picture.scheme).new_page()
        page.goto(house.link())
        live(page)
        picture.before(page)
        keep(page, picture.name, tmp_path)


def keep(page: Page, name: str, elsewhere: Path, quality: int = 86) -> None:
    """Take the picture: small, and one that the README shows."""
    folder = KEPT if KEEP else elsewhere
    path = folder / f"{name}.jpg"
    page.screenshot(path=path, type="jpeg", quality=quality)
    assert path.stat().st_size < BYTES_MAX, name
    assert f"docs/screenshots/{name}.jpg" in (ROOT / "README.md").read_text()


@pytest.fixture
def busy_house(tmp_path: Path) -> Iterator[House]:
    """A server with an hour behind it, which asks for signs of life every half second."""
    if MISSING is not None:
        pytest.skip(MISSING)
    asked(happened(tmp_path / "data"))
    with opened(tmp_path / "data", QUICK) as house:
        yield house


def operations(page: Page, house: House) -> None:
    """Some sessions that have been measured for a while, and one event put aside."""
    page.goto(house.link("adm"))
    live(page)
    for user, device in (("ana", "laptop"), ("ana", "phone"), ("aud", "desk")):
        page.evaluate(HANDLING, [house.tokens[user], device])
    page.evaluate(REFUSING, house.tokens["ana"])
    house.say("Can I still change the address?")
    page.wait_for_timeout(MEASURED_MS)
    page.goto(f"{house.url}/#page=operations")
    expect(page.get_by_role("row").filter(has_text="no such screen")).to_be_visible()
    page.wait_for_timeout(SETTLED_MS)


def in_the_past(page: Page, house: House) -> None:
    """An auditor looks at the inbox as it was three messages ago."""
    furnished(house)
    house.ask("checkpoint", sign=True)
    newest = max(at for at, kind, _ in recorded(house.server.folder) if kind == "message.received")
    page.goto(house.link("aud"))
    live(page)
    page.goto(f"{house.url}/#at={newest}")
    for _ in range(3):
        told = page.get_by_role("status").filter(has_text="You are looking at")
        before = told.inner_text()
        page.get_by_role("button", name="Before the last message").click()
        expect(told).not_to_have_text(before)
    open_row(page, "Beatriz")
    page.wait_for_timeout(SETTLED_MS)


def test_what_administrators_and_auditors_see_is_as_the_readme_shows_it(
    busy_house: House, profile: Profile, tmp_path: Path
) -> None:
    """After an hour of traffic: plots with something in them, sessions with a past."""
    page = profile(*DESKTOP).new_page()
    operations(page, busy_house)
    keep(page, "desktop-operations", tmp_path)
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.emulate_media(color_scheme="dark")
    keep(page, "phone-operations", tmp_path)
    page.close()
    page = profile(*DESKTOP).new_page()
    in_the_past(page, busy_house)
    keep(page, "desktop-past", tmp_path)
    page.get_by_role("button", name="Close").first.click()
    said = page.locator(".bubble").filter(has_text="Can I still change the address?")
    said.get_by_role("button", name="Trace of the message").click()
    expect(page.get_by_role("complementary", name="Trace")).to_contain_text("no such screen")
    page.wait_for_timeout(SETTLED_MS)
    keep(page, "desktop-trace", tmp_path, quality=74)  # small words in every corner


@pytest.mark.parametrize("name", [*(each.name for each in PICTURES), *BEHIND_IT])
def test_the_kept_pictures_are_there_and_small(name: str) -> None:
    """A README without its pictures, or with megabytes of them, is none."""
    path = KEPT / f"{name}.jpg"
    assert 5_000 < path.stat().st_size < BYTES_MAX
