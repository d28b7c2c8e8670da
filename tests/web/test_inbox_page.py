"""The inbox in a browser, against the real server with signed webhooks over HTTP."""

from __future__ import annotations

import re
import signal

import pytest
from playwright.sync_api import Page, Route, expect

from tests.web.conftest import Profile
from tests.web.house import House
from tests.web.looking import bubbles, live, open_row, pill, row


def test_a_login_link_signs_in_and_leaves_no_token_behind(house: House, page: Page) -> None:
    """The address has no token any more, and neither has any request's URL."""
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.goto(house.link())
    live(page)
    assert page.url == f"{house.url}/"
    assert not [url for url in urls if house.tokens["ana"] in url]


def test_a_pasted_token_signs_in(house: House, page: Page) -> None:
    """For whoever has no link."""
    page.goto(house.url)
    page.get_by_label("Access token").fill(house.tokens["ana"])
    page.get_by_role("button", name="Sign in").click()
    live(page)


def test_a_token_that_is_none_leads_back_to_signing_in(house: House, page: Page) -> None:
    """With words that say so."""
    page.goto(f"{house.url}/#token=nonsense")
    expect(pill(page).or_(page.get_by_label("Access token"))).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text("This token is not accepted")


def test_a_webhook_becomes_a_row_and_a_message_on_screen(house: House, page: Page) -> None:
    """Live, without a reload; unread until it is opened."""
    page.goto(house.link())
    live(page)
    house.say("Do you open on Saturday?")
    found = row(page, "Beatriz Nogueira")
    expect(found).to_contain_text("Do you open on Saturday?")
    expect(found).to_contain_text("1 unread")
    found.click()
    expect(bubbles(page)).to_have_text(["Do you open on Saturday?"])
    expect(found).not_to_contain_text("unread")
    house.say("And on Sunday?")
    expect(bubbles(page)).to_have_text(["Do you open on Saturday?", "And on Sunday?"])


def test_what_contacts_write_is_text_and_runs_nothing(house: House, page: Page) -> None:
    """Tags are shown as they were written; only http and https lead anywhere."""
    hostile = [
        '<img src=x onerror="window.hacked = 1">',
        "<script>window.hacked = 2</script>",
        "javascript:window.hacked=3 and https://example.com/?q=1",
    ]
    house.say(*hostile, name="<b>Mallory</b>")
    page.goto(house.link())
    open_row(page, "<b>Mallory</b>")
    expect(bubbles(page)).to_have_text(hostile)
    assert page.evaluate("window.hacked") is None
    links = page.locator(".bubble a")
    assert [links.nth(n).get_attribute("href") for n in range(links.count())] == [
        "https://example.com/?q=1"
    ]


def test_delivery_ticks_follow_the_providers_reports(house: House, page: Page) -> None:
    """Sent, delivered, read, in the list and at the message."""
    house.say("hello")
    page.goto(house.link())
    open_row(page, "Beatriz")
    answer = house.echo("Good morning")
    for status, words in (("sent", "Sent"), ("delivered", "Delivered"), ("read", "Read")):
        house.report(answer, status)
        expect(
            page.locator(".bubble-out").get_by_role("img", name=words, exact=True)
        ).to_be_visible()


def test_offline_and_500_messages_later_nothing_is_missing_twice_or_out_of_order(
    house: House, profile: Profile
) -> None:
    """Seen in the conversation itself, from the first message to the last."""
    context = profile()
    page = context.new_page()
    house.say("message 0")
    page.goto(house.link())
    live(page)
    open_row(page, "Beatriz")
    context.set_offline(True)
    expect(pill(page)).to_contain_text("Offline")
    for start in range(1, 501, 50):
        house.say(*(f"message {n}" for n in range(start, start + 50)))
    context.set_offline(False)
    live(page)
    expect(bubbles(page).last).to_have_text("message 500")
    assert seen_in_conversation(page, until="message 0") == [f"message {n}" for n in range(501)]


def seen_in_conversation(page: Page, until: str) -> list[str]:
    """All messages, read by scrolling from the newest up to the one that says ``until``."""
    found: list[str] = []
    for _ in range(400):
        shown = bubbles(page).all_inner_texts()
        known = set(found)
        assert not found or known.intersection(shown), "the page jumped over messages"
        found = [text for text in shown if text not in known] + found
        assert len(shown) == len(set(shown)), "a message is on the page twice"
        if until in shown:
            return found
        page.locator(".messages").evaluate(SCROLLED_UP)
    raise AssertionError(f"{until} was not reached, only {found[:1]}")


# Two frames: what the scroll brings is rendered, however busy the machine is.
SCROLLED_UP = """box => new Promise(done => {
    box.scrollTop -= 300;
    requestAnimationFrame(() => requestAnimationFrame(done));
})"""


def test_a_killed_server_is_waited_for_and_found_again_without_a_reload(
    own_house: House, page: Page
) -> None:
    """The content stays, the pill counts, and what came meanwhile is there."""
    own_house.say("before")
    page.goto(own_house.link())
    live(page)
    page.evaluate("window.same = true")
    own_house.server.end(signal.SIGKILL)
    expect(pill(page)).to_contain_text(re.compile(r"Reconnecting · attempt \d+"))
    expect(row(page, "Beatriz")).to_be_visible()
    own_house.server.start(own_house.server.port)
    own_house.say("after")
    live(page)
    expect(row(page, "Beatriz")).to_contain_text("after")
    assert page.evaluate("window.same") is True


def test_two_tabs_share_one_socket_and_the_second_takes_over(
    house: House, profile: Profile
) -> None:
    """Both are live; the log has one connection; the tab that stays goes on alone."""
    context = profile()
    first, second = context.new_page(), context.new_page()
    sockets: list[str] = []
    for page in (first, second):
        page.on("websocket", lambda socket: sockets.append(socket.url))
    first.goto(house.link())
    live(first)
    second.goto(house.url)
    live(second)
    house.say("to both")
    for page in (first, second):
        expect(row(page, "Beatriz")).to_contain_text("to both")
    assert len(sockets) == 1
    first.close()
    house.say("to the one that stays")
    expect(row(second, "Beatriz")).to_contain_text("to the one that stays")


def test_a_reload_shows_the_stored_inbox_before_the_network(house: House, profile: Profile) -> None:
    """With every request of the API cut, rows and messages are there all the same."""
    context = profile()
    page = context.new_page()
    house.say("kept here")
    page.goto(house.link())
    open_row(page, "Beatriz")
    expect(bubbles(page)).to_have_text(["kept here"])
    live(page)
    context.route("**/v1/**", lambda route: route.abort())
    context.route_web_socket("**/v1/ws", lambda socket: socket.close())
    page.reload()
    expect(row(page, "Beatriz")).to_contain_text("kept here")
    expect(bubbles(page)).to_have_text(["kept here"])


def test_a_revoked_token_ends_in_signed_out(house: House, page: Page) -> None:
    """Within seconds, on the open page."""
    house.say("private")
    page.goto(house.link())
    live(page)
    house.revoke("ana")
    expect(
        page.get_by_text(re.compile("Access withdrawn|access was withdrawn")).first
    ).to_be_visible()


def test_signing_out_leaves_nothing_in_the_browser(house: House, page: Page) -> None:
    """The next person at this machine finds a sign-in page and an empty database."""
    house.say("private")
    page.goto(house.link())
    expect(row(page, "Beatriz")).to_be_visible()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Access token")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Access token")).to_be_visible()
    assert house.tokens["ana"] not in page.evaluate("JSON.stringify(localStorage)")


def test_the_sync_button_says_that_everything_is_up_to_date(house: House, page: Page) -> None:
    """With the time to which it is complete, and that the digest was verified."""
    house.say("one")
    page.goto(house.link())
    live(page)
    page.get_by_role("button", name="Sync", exact=True).click()
    told = page.locator(".toast")
    expect(told).to_contain_text("Everything is up to date · complete to")
    expect(told).to_contain_text("verified")


def test_the_sync_button_counts_what_it_brought(house: House, profile: Profile) -> None:
    """Without a socket, so that nothing else brings it."""
    context = profile()
    page = context.new_page()
    house.say("known")
    page.goto(house.link())
    live(page)
    context.route_web_socket("**/v1/ws", lambda socket: socket.close())
    page.reload()
    expect(pill(page)).to_contain_text("Reconnecting")
    house.say("a", "b", "c", contact=2, name="Caio Tavares")
    house.say("d", contact=3, name="Dandara Rocha")
    page.get_by_role("button", name="Sync", exact=True).click()
    expect(page.locator(".toast")).to_contain_text("4 messages in 2 conversations")
    expect(row(page, "Caio Tavares")).to_be_visible()


def test_a_sync_that_fails_says_what_to_do_and_stays(house: House, page: Page) -> None:
    """With the request's id, until dismissed."""
    page.clock.install()
    page.goto(house.link())
    live(page)
    problem = {
        "type": "urn:malote:problem:log-unavailable",
        "title": "The log takes no events at the moment",
        "status": 503,
        "request_id": "0123456789abcdef",
    }

    def refuse(route: Route) -> None:
        route.fulfill(status=503, json=problem, content_type="application/problem+json")

    page.route("**/v1/sync*", refuse)
    page.get_by_role("button", name="Sync", exact=True).click()
    told = page.locator(".toast")
    expect(told).to_contain_text("Syncing did not work")
    expect(told).to_contain_text("0123456789abcdef")
    page.clock.fast_forward(7_000)
    expect(told).to_be_visible()
    told.get_by_role("button", name="Dismiss").click()
    expect(told).to_be_hidden()


def test_new_messages_do_not_move_whoever_reads_further_up(house: House, page: Page) -> None:
    """They are counted, and one click leads to them."""
    house.say(*(f"line {n}\nand more\nand more" for n in range(60)))
    page.goto(house.link())
    open_row(page, "Beatriz")
    expect(bubbles(page).last).to_contain_text("line 59")
    page.locator(".messages").hover()
    page.wait_for_timeout(300)  # the list has measured its rows and stands at the end
    page.mouse.wheel(0, -1200)
    expect(page.locator(".to-end")).to_be_visible()
    page.wait_for_timeout(300)  # the wheel has come to rest
    before = page.locator(".messages").evaluate("box => box.scrollTop")
    house.say("new 1", "new 2")
    jump = page.get_by_role("button", name="2 new messages")
    expect(jump).to_be_visible()
    assert page.locator(".messages").evaluate("box => box.scrollTop") == pytest.approx(
        before, abs=2
    )
    jump.click()
    expect(bubbles(page).last).to_have_text("new 2")
    expect(jump).to_be_hidden()


def test_words_are_looked_for_on_the_server(house: House, page: Page) -> None:
    """By what was said, without accents; Escape leads back to the list."""
    house.say("Não chegou nada", contact=1, name="Beatriz Nogueira")
    house.say("all is well", contact=2, name="Caio Tavares")
    page.goto(house.link())
    live(page)
    expect(page.get_by_role("option")).to_have_count(2)
    page.keyboard.press("/")
    page.keyboard.type("NAO chegou")
    expect(page.get_by_role("option")).to_have_count(1)
    expect(row(page, "Beatriz")).to_contain_text("Não chegou nada")
    page.keyboard.press("Escape")
    expect(page.get_by_role("option")).to_have_count(2)


def test_the_first_run_shows_the_webhook_and_sends_a_test_message(
    own_house: House, page: Page
) -> None:
    """An administrator sees the way in open before touching the provider's console."""
    page.goto(own_house.link("adm"))
    expect(page.get_by_text(f"{own_house.url}/webhooks/support")).to_be_visible()
    page.get_by_role("button", name="Send a test message").click()
    expect(page.get_by_role("option")).to_have_count(1)


def test_a_phone_shows_one_column_and_goes_back_by_its_gesture(
    house: House, profile: Profile
) -> None:
    """The list, then the conversation, and the list again where it was."""
    page = profile(390, 844, has_touch=True, is_mobile=True).new_page()
    house.say("hello")
    page.goto(house.link())
    open_row(page, "Beatriz")
    expect(page.get_by_role("listbox")).to_be_hidden()
    page.go_back()
    expect(page.get_by_role("listbox")).to_be_visible()
    expect(page.locator(".pane")).to_have_count(0)


def test_portuguese_is_spoken_to_who_asks_for_it(house: House, profile: Profile) -> None:
    """By the browser's language; the choice can be changed and is kept."""
    page = profile(locale="pt-BR").new_page()
    page.goto(house.link())
    expect(pill(page)).to_contain_text("Ao vivo")
    assert page.evaluate("document.documentElement.lang") == "pt-BR"
    page.get_by_role("button", name="Menu").click()
    page.get_by_label("Idioma").select_option("en")
    expect(pill(page)).to_contain_text("Live")
    page.reload()
    expect(pill(page)).to_contain_text("Live")


def test_a_pasted_token_that_is_refused_stays_in_the_form_beside_the_reason(
    house: House, page: Page
) -> None:
    """Nobody is told that a sign-in has ended which never began; the whole link does as well."""
    page.goto(house.url)
    field = page.get_by_label("Access token")
    field.fill("mlt_mistyped")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("This token is not accepted")
    expect(field).to_have_value("mlt_mistyped")
    field.fill(house.link())
    page.get_by_role("button", name="Sign in").click()
    live(page)


def test_signing_in_without_a_server_says_so_and_can_be_tried_again(
    house: House, page: Page
) -> None:
    """With the token still in its place."""
    page.goto(house.url)
    page.get_by_label("Access token").fill(house.tokens["ana"])
    page.route("**/v1/me", lambda route: route.abort())
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("The server did not answer")
    page.unroute("**/v1/me")
    page.get_by_role("button", name="Sign in").click()
    live(page)


def test_a_message_that_was_found_and_needs_no_scrolling_is_not_covered(
    house: House, page: Page
) -> None:
    """The button that leads to the end is there for whoever is not at the end."""
    house.say("a single line")
    page.goto(house.link())
    live(page)
    page.get_by_label("Search names and messages").fill("single")
    open_row(page, "Beatriz")
    expect(page.locator(".bubble-hit")).to_be_visible()
    expect(page.locator(".to-end")).to_have_count(0)
    expect(row(page, "Beatriz")).not_to_contain_text("unread")


def test_the_newest_message_stays_in_view_when_the_details_take_room(
    house: House, page: Page
) -> None:
    """Whoever reads the newest goes on reading the newest."""
    house.say(
        *(f"line {n}, long enough that it takes more rows in less room" * 3 for n in range(9))
    )
    page.goto(house.link())
    open_row(page, "Beatriz")
    expect(bubbles(page).last).to_be_in_viewport(ratio=1)
    page.get_by_role("button", name="Details").click()
    expect(page.get_by_role("complementary", name="Details")).to_be_visible()
    expect(bubbles(page).last).to_be_in_viewport(ratio=1)
    expect(page.locator(".to-end")).to_have_count(0)


def test_a_search_that_finds_nothing_says_that_and_nothing_else(house: House, page: Page) -> None:
    """It is not the inbox that has no conversations."""
    house.say("hello")
    page.goto(house.link())
    live(page)
    page.get_by_label("Search names and messages").fill("unheard of")
    expect(page.get_by_text("Nothing found for “unheard of”")).to_be_visible()
    expect(page.get_by_text("No conversations")).to_have_count(0)


def test_arabic_is_written_from_right_to_left(house: House, page: Page) -> None:
    """In the bubble; names and previews still begin at the left, where the eye looks for them."""
    house.say("مرحبا (two boxes) شكرا", name="محمد عبد الرحمن")
    page.goto(house.link())
    open_row(page, "محمد")
    direction = "each => getComputedStyle(each).direction"
    assert bubbles(page).first.evaluate(direction) == "rtl"
    assert page.locator(".row-name").first.evaluate(direction) == "rtl"
    assert page.locator(".row-name").first.evaluate("e => getComputedStyle(e).textAlign") == "left"
