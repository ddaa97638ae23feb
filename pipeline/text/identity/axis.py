"""One axis of identity: the terms of its groups in a text, and the text with the terms of two groups exchanged."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from pipeline.text.identity.grammar import fix_article, has_role, match_case
from pipeline.text.scripts import HAN_RANGES


@dataclass(frozen=True)
class Cell:
    """A word or phrase of a list: its text, the role that it must have in a text, and its position in the list."""

    text: str  # as it is written in the list
    role: str  # one of ROLES; empty for any
    searched: bool  # whether it is searched for in texts; if not, it only replaces others
    row: int  # of the list, from 0
    group: str


@dataclass(frozen=True)
class Mention:
    """A term in a text, ``text[start:end]``, and the cell of the list that it matches."""

    start: int
    end: int
    cell: Cell


@dataclass(frozen=True)
class Axis:
    """One list: its groups, their words, and the phrases that only look like such words."""

    name: str
    groups: tuple[str, ...]
    cells: tuple[Cell, ...]
    ignored: tuple[str, ...]  # phrases, from keep.<language>.csv

    @cached_property
    def cells_by_term(self) -> dict[str, list[Cell]]:
        """The searched cells by their text in lower case, in the order of the list."""
        cells_by_term: dict[str, list[Cell]] = {}
        for cell in self.cells:
            if cell.searched:
                cells_by_term.setdefault(cell.text.lower(), []).append(cell)
        return cells_by_term

    @cached_property
    def cell_by_position(self) -> dict[tuple[int, str], Cell]:
        """The cell by row and group."""
        return {(cell.row, cell.group): cell for cell in self.cells}

    @cached_property
    def ignored_phrases(self) -> frozenset[str]:
        """The ignored phrases in lower case."""
        return frozenset(map(str.lower, self.ignored))

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """A pattern of every searched term and ignored phrase, the longest first.

        A term must be a whole word where its script has spaces; in a script without spaces it is found anywhere.
        """
        words = sorted({*self.cells_by_term, *self.ignored_phrases}, key=lambda word: (-len(word), word))
        parts = [any_word_pattern(list(alike), *sides) for sides, alike in groupby(words, key=spaced_sides)]
        return re.compile("|".join(parts) or r"(?!)", re.IGNORECASE)

    def mentions(self, text: str) -> list[Mention]:
        """The terms of this axis in the text, from left to right."""
        return list(self.iter_mentions(text))

    def iter_mentions(self, text: str) -> Iterator[Mention]:
        """As ``mentions``, one at a time."""
        is_lower_text = text == text.lower()
        for match in self.pattern.finditer(text):
            term = re.sub(r"[\s-]+", " ", match[0].lower())
            if term not in self.cells_by_term and term not in self.ignored_phrases:
                term = match[0].lower()
            if term in self.ignored_phrases:
                continue
            for cell in self.cells_by_term.get(term, []):
                # A name or "Polish" in small letters is another word, unless the whole text is in small letters.
                lacks_capital = cell.text != cell.text.lower() and match[0] == match[0].lower() and not is_lower_text
                if not lacks_capital and has_role(cell.role, text, match.start(), match.end()):
                    yield Mention(match.start(), match.end(), cell)
                    break

    def swap(self, text: str, first: str, second: str) -> str:
        """The text with the terms of two groups exchanged; a term without a counterpart stays.

        Upper and lower case stay as they were, and the article becomes ``a`` or ``an`` as the new term needs it.
        """
        parts: list[str] = []
        end = 0
        for mention in self.iter_mentions(text):
            if mention.cell.group not in (first, second):
                continue
            target = second if mention.cell.group == first else first
            cell = self.cell_by_position.get((mention.cell.row, target))
            if cell is None:
                continue
            old = text[mention.start : mention.end]
            new = match_case(old, mention.cell.text, cell.text)
            parts += [fix_article(text[end : mention.start], old, new), new]
            end = mention.end
        return "".join([*parts, text[end:]])


def spaced_sides(word: str) -> tuple[bool, bool]:
    """Whether a word begins, and whether it ends, in a script that has spaces between words."""
    return not re.match(f"[{HAN_RANGES}]", word), not re.search(f"[{HAN_RANGES}]$", word)


def any_word_pattern(words: list[str], left: bool, right: bool) -> str:
    """A pattern of any of the words; spaces in them may be hyphens.

    ``left`` and ``right`` ask that no letter stands on that side. All words share one check of the sides, because each
    check takes milliseconds to compile.
    """
    letter = rf"[^\W{HAN_RANGES}]"
    inner = "|".join(r"[\s-]+".join(map(re.escape, re.split(r"[\s-]+", word))) for word in words)
    return (rf"(?<!{letter})" if left else "") + f"(?:{inner})" + (rf"(?!{letter})" if right else "")
