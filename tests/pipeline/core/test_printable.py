"""Names from data reach terminal, page and card without characters that act on them; JSON keeps the data."""

import io
import json

import pytest
from markupsafe import Markup
from rich.console import Console

from flows.outcomes.terminal import escape
from flows.outcomes.training import rich_table
from pipeline.core.printable import escape_in_json, printable, printable_lines
from pipeline.pages.environment import make_printable
from pipeline.stages.report.card import markdown_cell

HOSTILE = {
    "\x1b]0;owned\x07": r"\x1b]0;owned\x07",  # sets a terminal's title
    "\x1b[2Jgone": r"\x1b[2Jgone",
    "\x9b31mred": r"\x9b31mred",  # C1: one byte that begins a sequence
    "user\u202etxt.exe": r"user\u202etxt.exe",  # bidirectional override
    "a\u2066b\u2069": r"a\u2066b\u2069",
    "back\x08\x08space\x7f": r"back\x08\x08space\x7f",
    "zero\u200bwidth\ufeff": r"zero\u200bwidth\ufeff",
    "tag\U000e0041": r"tag\U000e0041",
}
PLAIN = ["naïve", "日本語", "שלום", "👩\u200d🔬", "a b"]


@pytest.mark.parametrize(("text", "shown"), HOSTILE.items())
def test_characters_that_act_on_a_terminal_are_shown_as_their_code(text: str, shown: str) -> None:
    assert printable(text) == printable_lines(text) == shown


@pytest.mark.parametrize("text", PLAIN)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_only_a_line_feed_ends_a_line() -> None:
    assert printable_lines("one\r\ntwo\x85three\u2028four") == "one \ntwo three four"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_table_of_the_terminal_holds_none(text: str) -> None:
    out = io.StringIO()
    console = Console(file=out, width=100)
    console.print(rich_table(text, [{text: text, "group": f"[bold]{text}"}]))
    console.print(f"[red]{escape(text)}[/red]")
    assert not any(character in out.getvalue() for character in text if not character.isprintable())


@pytest.mark.parametrize("text", HOSTILE)
def test_pages_and_the_card_hold_none(text: str) -> None:
    for shown in (make_printable(text), markdown_cell(text)):
        assert not any(character in shown for character in text if not character.isprintable())
    assert make_printable(Markup("<b>")) == "<b>" and make_printable(3) == 3


@pytest.mark.parametrize("text", [*HOSTILE, *PLAIN])
def test_json_has_the_same_value_without_them(text: str) -> None:
    content = json.dumps({text: [text]}, indent=2, ensure_ascii=False)
    escaped = escape_in_json(content)
    assert json.loads(escaped) == {text: [text]}
    assert not any(character in escaped for character in text if not character.isprintable() and character != "\u200d")
