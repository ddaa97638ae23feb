"""Text as every later stage reads it: Unicode-normalised, with readable whitespace, personal data masked if asked."""

import re
import unicodedata

import pandas as pd

from pipeline.core.params import Ingest
from pipeline.sources.pii_masking import mask_texts

# Control characters other than whitespace, with NUL, and the byte order mark.
CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff]")


def clean_text(text: str) -> str:
    """``text`` in Unicode NFC, without control characters.

    One space stands between words and one newline between lines; blank lines and outer whitespace are removed.
    """
    composed = unicodedata.normalize("NFC", CONTROL.sub("", text))
    lines = (" ".join(line.split()) for line in composed.splitlines())
    return "\n".join(line for line in lines if line)


def clean_rows(rows: pd.DataFrame, params: Ingest) -> pd.DataFrame:
    """The rows with ``text``, cleaned from ``raw``, and a reason if it is empty or too long.

    With ``ingest.mask_pii``, personal data is masked in the usable rows. Raises UserError if this machine cannot mask
    as params say.
    """
    rows = rows.assign(text=pd.Series(map(clean_text, rows["raw"]), rows.index, dtype="str"))
    rows = reject(rows, rows["text"].eq(""), "empty text")
    rows = reject(rows, rows["text"].str.len().gt(params.max_chars), "longer than max_chars")
    if params.mask_pii:
        usable = rows["reason"].isna()
        rows.loc[usable, "text"] = mask_texts(rows.loc[usable, "text"].tolist(), params)
    return rows


def reject(rows: pd.DataFrame, is_bad: "pd.Series[bool]", reason: str) -> pd.DataFrame:
    """The rows with ``reason`` for each bad row that has no reason yet: the first reason stays."""
    return rows.assign(reason=rows["reason"].mask(is_bad & rows["reason"].isna(), reason))
