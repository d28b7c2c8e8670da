"""For administrators: who is online and how well, what was put aside, and how much flows."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Profile
from tests.web.house import House
from tests.web.looking import live, open_row, row
from tests.web.test_inbox_access import findings

# A device that cannot handle what it is sent, and says so.
REFUSING = """token => new Promise(done => {
    const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/v1/ws`, 'malote.v1');
    const say = frame => socket.send(JSON.stringify(frame));
    window.wall = socket;
    socket.onopen = () => say({ type: 'hello', token, device: 'wall', cursor: null });
    socket.onmessage = ({ data }) => {
        const frame = JSON.parse(data);
        if (frame.type === 'live') done();
        if (frame.type === 'ping') say({ type: 'pong', id: frame.id });
        for (const { position } of frame.type === 'events' ? frame.events : [])
            say({ type: 'nack', position, reason: 'no such screen' });
        window.replayed = (window.replayed ?? []).concat(frame.type === 'replayed' ? frame : []);
    };
})"""


def refused(page: Page, house: House) -> None:
    """A second device of ana's puts one message aside."""
    page.goto(house.link("adm"))
    live(page)
    page.evaluate(REFUSING, house.tokens["ana"])
    house.say("cannot be handled")
    expect(row(page, "Beatriz")).to_be_visible()


def operations(page: Page) -> None:
    """The page, by the menu."""
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Operations").click()
    expect(page.get_by_role("heading", name="Operations")).to_be_visible()


def test_an_administrator_sees_who_is_online_and_what_was_put_aside(
    own_house: House, page: Page
) -> None:
    """By user and device, with what each is behind, and why an event was put aside."""
    refused(page, own_house)
    operations(page)
    online = page.get_by_role("region", name="Who is online")
    wall = online.get_by_role("row").filter(has_text="wall")
    expect(wall).to_contain_text("ana")
    expect(wall).to_contain_text("Live")
    expect(online.get_by_role("row").filter(has_text="adm")).to_be_visible()
    parked = page.get_by_role("region", name="Put aside")
    expect(parked.get_by_role("row").filter(has_text="no such screen")).to_contain_text("ana")
    plot = page.get_by_role("img", name="Messages in: at most 1 a minute")
    expect(plot.locator("rect")).to_have_count(1)
    page.evaluate("window.wall.close()")
    expect(wall).to_be_hidden()
    page.keyboard.press("Escape")
    expect(row(page, "Beatriz")).to_be_visible()
    page.go_forward()
    page.reload()
    expect(page.get_by_role("heading", name="Operations")).to_be_visible()


def test_what_was_put_aside_is_delivered_again_by_one_click(own_house: House, page: Page) -> None:
    """The device gets it in a frame of its own; while it is under way the page says so."""
    refused(page, own_house)
    operations(page)
    parked = page.get_by_role("row").filter(has_text="no such screen")
    parked.get_by_role("button", name="Deliver again").click()
    expect(parked).to_contain_text("Under way")
    page.wait_for_function("() => window.replayed.length === 1")
    page.evaluate("""() => { const [{ request, events }] = window.replayed;
        const positions = events.map(({ position }) => position);
        window.wall.send(JSON.stringify({ type: 'replay_ack', request, positions })); }""")
    expect(page.get_by_text("Nothing is put aside")).to_be_visible()


def test_on_a_phone_a_long_name_pushes_no_figure_out_of_sight(
    own_house: House, profile: Profile
) -> None:
    """The name gives way; how far a device is behind is to be read."""
    page = profile(390, 844).new_page()
    own_house.ask("add_user", name="n" * 64, role="member", inboxes=["support"])
    token = own_house.ask("create_token", user="n" * 64)["token"]
    page.goto(own_house.link("adm"))
    live(page)
    page.evaluate(REFUSING, token)
    operations(page)
    named = page.get_by_role("row").filter(has_text="nnn")
    named.scroll_into_view_if_needed()
    expect(named.get_by_role("cell").nth(2)).to_be_in_viewport(ratio=1)


def test_nobody_else_is_led_there(house: House, page: Page) -> None:
    """Not by the menu and not by the address."""
    house.say("hello")
    page.goto(f"{house.link()}")
    live(page)
    page.goto(f"{house.url}/#page=operations")
    page.reload()
    live(page)
    expect(row(page, "Beatriz")).to_be_visible()
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("button", name="Operations")).to_have_count(0)


@pytest.mark.parametrize("size", [(1440, 900), (390, 844)], ids=["desktop", "phone"])
def test_axe_finds_nothing_for_auditors_and_administrators(
    own_house: House, profile: Profile, size: tuple[int, int]
) -> None:
    """Operations, the timeline, the past, and the signed state, in light and dark."""
    page = profile(*size).new_page()
    refused(page, own_house)
    own_house.ask("checkpoint", sign=True)
    operations(page)
    expect(page.get_by_role("row").filter(has_text="no such screen")).to_be_visible()
    found = {"operations": findings(page)}
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    page.get_by_role("button", name="Signed to").click()
    expect(page.get_by_role("region", name="Signed history")).to_be_visible()
    found["signed"] = findings(page)
    page.keyboard.press("Escape")
    page.get_by_role("slider", name="Moment").focus()
    page.keyboard.press("Home")
    expect(page.get_by_text("Nothing had arrived yet")).to_be_visible()
    found["nothing yet"] = findings(page)
    page.get_by_role("button", name="To the next message").click()
    open_row(page, "Beatriz")
    expect(page.locator(".bubble")).to_be_visible()
    found["past"] = findings(page)
    assert found == {view: [] for view in found}
