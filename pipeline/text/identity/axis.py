"""One axis of identity: where a text has its terms, and the text with one group's terms for another's."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

HAN = "\u3400-\u4dbf\u4e00-\u9fff"
ROLES = ("determiner", "object", "pronoun", "noun", "adjective", "people")
# After "her" these tell that it is an object ("saw her and left"), not a determiner ("her car"); the same before a
# noun that stands alone ("a Muslim who").
FUNCTION_WORDS = frozenset(
    "and or but nor if because as that than though although when while where who which whose what is was are were be "
    "been being has had have having will would can could should may might must shall did does do done to of in on at "
    "for from with without by about into onto over under after before since until during through between against "
    "again yesterday today tomorrow tonight now then too also so very not just even only the a an this these those my "
    "your our their its it she he they we you i there here up down out off away".split()
)
ARTICLES = frozenset("a an the this that these those another every each any some no one".split())
PEOPLE = frozenset(
    "people person persons folk folks man men woman women guy guys boy boys girl girls lady ladies gentleman gentlemen "
    "kid kids child children male males female females student students customer customers worker workers employee "
    "employees patient patients person's colleague colleagues neighbor neighbors neighbour neighbours friend friends "
    "family families couple couples community communities resident residents user users driver drivers adult adults "
    "teacher teachers doctor doctors nurse nurses applicant applicants voter voters citizen citizens".split()
)
VOWEL = re.compile(r"(?!eu|uni|use|one)[aeiou]", re.IGNORECASE)  # "a European", "a one-off"
NEXT = re.compile(r"\s+([^\W\d_]+)")
BEFORE = re.compile(r"([^\W\d_]+)\s+$")
ARTICLE = re.compile(r"\b(an?)(\s+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Cell:
    """A word or phrase of a list: as it is written there, the role that it must have in the text, and its place."""

    text: str
    role: str
    sought: bool  # looked for in texts; else only put in
    row: int
    group: str


@dataclass(frozen=True)
class Mention:
    """A term in a text: its place, and whose it is."""

    start: int
    end: int
    cell: Cell


@dataclass(frozen=True)
class Axis:
    """One list: the groups that it tells apart, their words, and phrases that only look like such words."""

    name: str
    groups: tuple[str, ...]
    cells: tuple[Cell, ...]
    kept: tuple[str, ...]

    @cached_property
    def by_surface(self) -> dict[str, list[Cell]]:
        """The sought cells by their text in lower case, in the order of the file."""
        found: dict[str, list[Cell]] = {}
        for cell in self.cells:
            if cell.sought:
                found.setdefault(cell.text.lower(), []).append(cell)
        return found

    @cached_property
    def by_place(self) -> dict[tuple[int, str], Cell]:
        """The cell in a row and column."""
        return {(cell.row, cell.group): cell for cell in self.cells}

    @cached_property
    def kept_surfaces(self) -> frozenset[str]:
        """The kept phrases in lower case."""
        return frozenset(map(str.lower, self.kept))

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Finds every word and kept phrase, the longest first; a script without spaces has no ends of words."""
        words = sorted({*self.by_surface, *self.kept_surfaces}, key=lambda word: (-len(word), word))
        parts = [bounded(list(alike), *sides) for sides, alike in groupby(words, key=spaced_sides)]
        return re.compile("|".join(parts) or r"(?!)", re.IGNORECASE)

    def mentions(self, text: str) -> list[Mention]:
        """The terms of this axis in the text, from left to right."""
        return list(self.found(text))

    def found(self, text: str) -> Iterator[Mention]:
        lowered = text == text.lower()
        kept = self.kept_surfaces
        for match in self.pattern.finditer(text):
            surface = re.sub(r"[\s-]+", " ", match[0].lower())
            surface = surface if surface in self.by_surface or surface in kept else match[0].lower()
            if surface in kept:
                continue
            for cell in self.by_surface.get(surface, []):
                # A name or "Polish" in small letters is another word, unless the whole text is in small letters.
                small = cell.text != cell.text.lower() and match[0] == match[0].lower() and not lowered
                if not small and fits(cell.role, text, match.start(), match.end()):
                    yield Mention(match.start(), match.end(), cell)
                    break

    def swap(self, text: str, one: str, other: str) -> str:
        """The text with the terms of the two groups exchanged; unchanged where no term has a counterpart.

        Upper and lower case stay as they were, and ``a`` becomes ``an`` where it must.
        """
        parts: list[str] = []
        end = 0
        for mention in self.found(text):
            if mention.cell.group not in (one, other):
                continue
            target = other if mention.cell.group == one else one
            cell = self.by_place.get((mention.cell.row, target))
            if cell is None:
                continue
            old = text[mention.start : mention.end]
            new = cased(old, mention.cell.text, cell.text)
            parts += [agreed(text[end : mention.start], old, new), new]
            end = mention.end
        return "".join([*parts, text[end:]])


def spaced_sides(word: str) -> tuple[bool, bool]:
    """Whether a word begins, and whether it ends, in a script that has spaces between words."""
    return not re.match(f"[{HAN}]", word), not re.search(f"[{HAN}]$", word)


def bounded(words: list[str], left: bool, right: bool) -> str:
    """A pattern for any of the words, where asked with no letter beside it; spaces may be hyphens.

    One check of the sides for all words, since each takes milliseconds to compile.
    """
    letter = rf"[^\W{HAN}]"
    inner = "|".join(r"[\s-]+".join(map(re.escape, re.split(r"[\s-]+", word))) for word in words)
    return (rf"(?<!{letter})" if left else "") + f"(?:{inner})" + (rf"(?!{letter})" if right else "")


def fits(role: str, text: str, start: int, end: int) -> bool:
    """Whether a word in this place has the role; told by the words beside it, for English."""
    if not role:
        return True
    after = NEXT.match(text, end)
    word = after[1].lower() if after else ""
    if role == "people":
        return word in PEOPLE
    leads = bool(word) and word not in FUNCTION_WORDS
    if role in ("determiner", "object", "pronoun"):
        return leads == (role == "determiner")
    before = BEFORE.search(text, 0, start)
    alone = bool(before) and before[1].lower() in ARTICLES and not leads  # type: ignore[index]
    return alone == (role == "noun")


def cased(found: str, written: str, new: str) -> str:
    """The new term in the case in which the old one, ``written`` so in the list, was found."""
    if found == written:
        return new
    if len(found) > 1 and found.isupper():
        return new.upper()
    return new.lower() if found == found.lower() else new[:1].upper() + new[1:]


def agreed(before: str, old: str, new: str) -> str:
    """The text before a term, its last article fitting the new term."""
    article = ARTICLE.search(before)
    if article is None or bool(VOWEL.match(old)) == bool(VOWEL.match(new)):
        return before
    right = article[1][0] + ("n" if VOWEL.match(new) else "")
    right = right.upper() if len(article[1]) == 2 and article[1].isupper() else right
    return before[: article.start()] + right + article[2]
