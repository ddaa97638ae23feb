"""Rows of the arrival files, with the ids and labels that the stage `ingest` gives them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from pipeline.core import table
from pipeline.core.digests import file_sha256
from pipeline.core.params import Ingest
from pipeline.sources import arrival_files
from pipeline.sources.cleaning import clean_rows
from pipeline.sources.source_name import source_name
from pipeline.sources.value_rules import join_spellings, label_value_rules, rename_values

DIGEST_LENGTH = 12  # hexadecimal digits; two files have to differ only if they have the same name


def identify_rows(rows: pd.DataFrame, params: Ingest) -> pd.DataFrame:
    """Mapped rows cleaned, with their id and their label renamed, as ingest will have them.

    The column ``raw_label`` keeps the label as it was read. A label may still be spelled otherwise than in the source:
    see `spell_as_known`.
    """
    rows = clean_rows(rows, params)
    name = source_name(params)
    ids = [table.row_id(name, text or raw) for text, raw in zip(rows["text"], rows["raw"], strict=True)]
    renamed = rename_values(rows["label"], label_value_rules(params.labels))
    return rows.assign(id=ids, raw_label=rows["label"], label=renamed)


@dataclass(frozen=True)
class ReadArrivals:
    """The arrival files that trainings have read.

    A file counts by its name and content: a night whose clock is wrong, or one after a batch was withdrawn, may give a
    name that was there before.
    """

    files: frozenset[tuple[str, str]] = frozenset()  # name and digest of each
    up_to: str = ""  # besides these, all files up to this name: what older trainings recorded

    def includes(self, name: str, digest: str) -> bool:
        """Whether a training has read the file of this name and digest."""
        return (name, digest) in self.files or name <= self.up_to

    def with_rewritten(self, digests: Iterable[tuple[str, str, str]]) -> "ReadArrivals":
        """The same with the files that were rewritten without some rows: name, digest before, digest after, in order.

        What was read before is read after.
        """
        files = set(self.files)
        for name, before, after in digests:
            if (name, before) in files:
                files.add((name, after))
        return replace(self, files=frozenset(files))


def spell_as_known(rows: pd.DataFrame, labels: Iterable[str], params: Ingest) -> pd.DataFrame:
    """The rows with each label in the spelling that it has among the known ``labels``, where it is certainly the same.

    So has the stage `ingest` them later: "1.0" arrives as "1" where the source has "1".
    """
    return rows.assign(label=join_spellings(rows["label"], label_value_rules(params.labels), first=labels))


def file_digests(params: Ingest, root: Path) -> dict[str, str]:
    """The digest of each arrival file by its name, `DIGEST_LENGTH` hexadecimal digits of its SHA-256."""
    files = arrival_files.list_files(root / params.arrivals)
    return {path.name: file_digest(path) for path in files}


def file_digest(path: Path) -> str:
    """The digest of one arrival file, `DIGEST_LENGTH` hexadecimal digits of its SHA-256."""
    return file_sha256(path)[:DIGEST_LENGTH]


def usable_rows(params: Ingest, root: Path) -> pd.DataFrame:
    """The usable rows of all arrival files, as ingest will have them."""
    rows = identify_rows(arrival_files.read_all(params, root), params)
    return rows[rows["reason"].isna()]


def unread_rows(read: ReadArrivals, params: Ingest, root: Path) -> pd.DataFrame:
    """The usable rows of the arrival files that are not in ``read``, as ingest will have them."""
    digests = file_digests(params, root)
    unread = [name for name, digest in digests.items() if not read.includes(name, digest)]
    rows = usable_rows(params, root)
    return rows[rows["file"].isin(unread)]
