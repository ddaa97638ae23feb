"""Which rows are to be forgotten: by the ids that ingest gives to texts, so that no text has to be kept."""

import html
import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.sources.cleaning import clean_text
from pipeline.sources.decoding import has_invalid
from pipeline.sources.pii_masking import check_masks, mask_pii
from pipeline.sources.source_name import source_name

ROW_ID = re.compile(r"[0-9a-f]{16}")
SHORTEST_QUOTE = 12  # characters; a shorter text is found as a cell or a line, not inside of other text
MOST_KNOWN = 100_000  # answers that are remembered
# Columns that hold no text of a row: a text that is one word may be the name of a class, too.
OTHER_COLUMNS = {
    "label",
    "origin",
    "split",
    "reason",
    "class",
    "predicted",
    "likely_label",
    "version",
    "method",
    "role",
}


@dataclass
class Wanted:
    """The ids of the rows, and all texts that are known to be theirs; both grow while files are searched."""

    params: Ingest
    ids: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)  # normalised
    spellings: set[str] = field(default_factory=set)  # the texts as tables have them
    given: set[str] = field(default_factory=set)  # the texts as people gave them
    named: set[str] = field(default_factory=set)  # ids that people named
    masked_ids: set[str] = field(default_factory=set)  # of rows that only the masked form of a given text names
    masked_texts: set[str] = field(default_factory=set)  # normalised; the texts of such rows
    seen: set[str] = field(default_factory=set)  # ids that were found somewhere
    known: dict[str, bool] = field(default_factory=dict)  # answers for texts that were asked before

    @cached_property
    def other_columns(self) -> set[str]:
        """The names of columns that hold no text of a row."""
        columns = self.params.columns
        named = {columns.label, columns.split, *columns.groups.values()} - set(columns.text)
        return OTHER_COLUMNS | {name for name in named if name} | {f"group.{name}" for name in columns.groups}

    @cached_property
    def source(self) -> str:
        """The name of the data, of which ids are hashes."""
        return source_name(self.params)

    def ids_of(self, text: str) -> set[str]:
        """The ids that ingest may have given to a text: as it is, and with personal data masked.

        None for a text with invalid characters: ingest rejects it, so that no row has it.
        """
        if has_invalid(text):
            return set()
        clean = clean_text(text)
        forms = {clean or text}
        if self.params.mask_pii:
            forms.add(mask_pii(clean, self.params))
        return {table.row_id(self.source, form) for form in forms}

    def add_text(self, text: str) -> None:
        """Want every row of this text."""
        clean, ids = clean_text(text), self.ids_of(text)
        self.texts |= {table.normalise(text), table.normalise(clean)}
        self.spellings.add(clean)
        self.given.add(text)
        as_it_is = table.row_id(self.source, clean or text)
        self.masked_ids |= ids - {as_it_is} - self.ids
        self.ids |= ids
        self.masked_ids.discard(as_it_is)

    def add_id(self, row: str) -> None:
        """Want the row of this id, whatever its text."""
        self.ids.add(row)
        self.named.add(row)
        self.masked_ids.discard(row)

    def learn(self, text: str, is_masked: bool = False) -> None:
        """Know a text as that of a wanted row, such as a paraphrase of one, so that it is found in other files, too.

        ``is_masked`` where only the masked form of a given text names that row.
        """
        normalised = table.normalise(text)
        if is_masked and normalised not in self.texts:
            self.masked_texts.add(normalised)
        elif not is_masked:
            self.masked_texts.discard(normalised)
        self.texts.add(normalised)
        self.spellings.add(text)
        self.known.clear()

    def without_masked(self) -> "Wanted | None":
        """What is wanted without the rows that only a masked form names, which may be another person's.

        None if there are none of them.
        """
        if not self.masked_ids:
            return None
        return replace(
            self,
            ids=self.ids - self.masked_ids,
            texts=self.texts - self.masked_texts,
            seen=set(),
            known={},
            masked_ids=set(),
            masked_texts=set(),
        )

    def is_wanted(self, value: Any) -> bool:
        """Whether a cell is the id or the text of a wanted row."""
        if not isinstance(value, str) or not value:
            return False
        if len(self.known) > MOST_KNOWN:
            self.known.clear()
        if value not in self.known:
            named = {value} & self.ids or (self.ids_of(value) & self.ids)
            self.seen |= named
            self.known[value] = bool(named) or table.normalise(value) in self.texts or self.is_wanted(as_latin(value))
        return self.known[value]

    def is_wanted_long(self, value: Any) -> bool:
        """Whether a value is the text of a wanted row, and too long to be the name of something."""
        return isinstance(value, str) and len(value) >= SHORTEST_QUOTE and self.is_wanted(value)

    def is_quoted_in(self, text: str, is_html: bool = False) -> bool:
        """Whether a longer text quotes a wanted row; in HTML also where tags highlight its words."""
        if is_html:
            text = html.unescape(re.sub(r"<[^>]*>", "", text))
        plain = table.normalise(text)
        return any(len(wanted) >= SHORTEST_QUOTE and wanted in plain for wanted in self.texts)


def as_latin(value: str) -> str | None:
    """A text whose invalid bytes are read as Latin-1, as a few lines in a file of UTF-8 may be; None without any."""
    if not has_invalid(value):
        return None
    try:
        return value.encode("utf-8", "surrogateescape").decode("latin-1")
    except UnicodeEncodeError:  # a bad escape in JSON, which stands for no byte
        return None


def read_requests(ids: list[str], match: Path | None, params: Ingest) -> tuple[Wanted, dict[str, set[str]]]:
    """What people ask to forget, and the ids that each request stands for; a request is named, never quoted.

    ``match`` is a file with one id or text a line. Raises UserError for no request, a wrong id, an unreadable file, or
    masks without which this machine does not find masked rows.
    """
    if params.mask_pii:
        check_masks(params)
    wanted, requests = Wanted(params), {}
    for number, row in enumerate(ids, start=1):
        if not ROW_ID.fullmatch(row):
            raise UserError(f"--id: expected a row id of 16 hexadecimal digits, found another value as number {number}")
        wanted.add_id(row)
        requests[f"--id {row}"] = {row}
    for number, line in enumerate(read_lines(match) if match else [], start=1):
        if ROW_ID.fullmatch(line):
            wanted.add_id(line)
            requests[f"{match}, line {number}"] = {line}
        elif line:
            wanted.add_text(line)
            requests[f"{match}, line {number}"] = wanted.ids_of(line)
    if not requests:
        raise UserError("expected a row to forget, found none; name it with --id, or a file of texts with --match")
    return wanted, requests


def read_lines(path: Path) -> list[str]:
    """The lines of a file of texts and ids. Raises UserError if it is no text in UTF-8."""
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "bytes that are no UTF-8"
        raise UserError(f"{path}: expected a text file in UTF-8, one text or id a line, found: {reason}") from None
