"""Strangers' texts on a terminal: nothing in them moves a cursor, and every line fits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from api.terminal import fit, one_line, preview, summary
from eventstore.events import (
    Contact,
    Location,
    Media,
    MessageReceived,
    Order,
    Reaction,
    Reply,
    Text,
    TokenIssued,
)


@given(st.text())
def test_no_control_character_reaches_the_terminal(text: str) -> None:
    """Escape sequences, line feeds, bidirectional overrides: all of them shown, none obeyed."""
    line = one_line(text)
    assert all(char.isprintable() or char == "\u200d" for char in line)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("one\r\ntwo\t three ", "one two three"),
        ("abc\u202edef", r"abc\u202edef"),
        ("👩\u200d💻 ok", "👩\u200d💻 ok"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_cannot_be_printed_is_shown_as_an_escape(text: str, shown: str) -> None:
    """White space becomes one space; what holds an emoji together stays."""
    assert one_line(text) == shown


@given(st.text(alphabet="aé漢😅 ", max_size=40), st.integers(1, 30))
def test_a_text_is_fitted_to_exactly_the_cells_there_are(text: str, cells: int) -> None:
    """Wide glyphs count two, and are never cut in half."""
    assert cell_len(fit(text, cells)) == cells


def test_what_is_cut_off_is_marked() -> None:
    """A reader sees that there was more."""
    assert fit("Bom dia, tudo bem?", 10) == "Bom dia,… "
    assert fit("Bom dia", 10) == "Bom dia   "


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (Text("Oi\nbom dia"), "Oi bom dia"),
        (Media("image", caption="Olha!"), "[image] Olha!"),
        (Media("audio", voice=True), "[voice message] "),
        (Location(-23.5, -46.6), "[location] -23.5000, -46.6000"),
        (Reaction("m1", None), "took a reaction back"),
        (Reply("button", title="Sim"), "[chose] Sim"),
        (Order(None, ()), "[order of 0] "),
    ],
)
def test_every_kind_of_message_has_words(content: object, shown: str) -> None:
    """A line in the terminal says what a message is, not how it is stored."""
    assert preview(content) == shown.strip()  # type: ignore[arg-type]  # a table of the union


def test_a_summary_names_the_contact_and_no_secret() -> None:
    """Who wrote what; of a token no more than the start of its public id."""
    event = MessageReceived("m1", Contact("BR.1", name="Ana\x07"), Text("Oi"))
    assert summary(event) == r"Ana\x07: Oi"
    assert summary(TokenIssued("0123456789abcdef", "ana")) == "01234567 for ana"
