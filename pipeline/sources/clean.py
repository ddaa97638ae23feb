"""Text as every later stage sees it: Unicode-normalised, readable whitespace, personal data masked."""

import re
import unicodedata
from collections.abc import Callable

import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.params import Ingest

# Control characters that are no whitespace, NUL among them, and the byte order mark.
CONTROL = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff]")
EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
# What may be a number, seen from each place where one may start; its check digits decide, and where it ends.
CARD = re.compile(r"(?<![\d.])(?=([2-6]\d{3}(?:[ -]?\d){9,15}))")
IBAN = re.compile(r"\b(?=([A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}))", re.IGNORECASE)
SHORTEST = 13  # characters of a card number; the shortest IBAN has 15
PHONE_DIGITS = 7  # no shorter number is looked for


def tidy(text: str) -> str:
    """Unicode NFC without control characters; one space between words, one newline between lines, none at the ends."""
    composed = unicodedata.normalize("NFC", CONTROL.sub("", text))
    lines = (" ".join(line.split()) for line in composed.splitlines())
    return "\n".join(line for line in lines if line)


def clean(rows: pd.DataFrame, params: Ingest) -> pd.DataFrame:
    """The rows with ``text`` made from ``raw``, and a reason where it is empty or too long."""
    rows = rows.assign(text=pd.Series(map(tidy, rows["raw"]), rows.index, dtype="str"))
    rows = reject(rows, rows["text"].eq(""), "empty text")
    rows = reject(rows, rows["text"].str.len().gt(params.max_chars), "longer than max_chars")
    if params.mask_pii:
        check_region(params.phone_region)
        usable = rows["reason"].isna()
        rows.loc[usable, "text"] = [mask(text, params.phone_region) for text in rows.loc[usable, "text"]]
    return rows


def reject(rows: pd.DataFrame, bad: "pd.Series[bool]", reason: str) -> pd.DataFrame:
    """Give the bad rows a reason, unless they have one: the first stays."""
    return rows.assign(reason=rows["reason"].mask(bad & rows["reason"].isna(), reason))


def mask(text: str, region: str | None) -> str:
    """The text with e-mail addresses, IBANs, card and phone numbers replaced by [EMAIL], [IBAN], [CARD], [PHONE].

    Card numbers must pass Luhn's check, IBANs the one of ISO 13616, phone numbers the numbering plan of their country
    (``region`` where they carry none).
    """
    if "@" in text:
        text = EMAIL.sub("[EMAIL]", text)
    if sum(map(str.isdecimal, text)) < PHONE_DIGITS:
        return text
    return mask_phones(mask_numbers(mask_numbers(text, IBAN, is_iban, "[IBAN]"), CARD, is_card, "[CARD]"), region)


def mask_numbers(text: str, shape: re.Pattern[str], is_valid: Callable[[str], bool], token: str) -> str:
    """Numbers of one kind; what follows often looks like a part of it, so the longest valid beginning is taken."""
    for match in reversed(list(shape.finditer(text))):
        seen = match[1]
        for end in range(len(seen), SHORTEST - 1, -1):
            following = text[match.start() + end : match.start() + end + 1]
            whole = seen[end - 1].isalnum() and not following.isalnum()
            if whole and is_valid(seen[:end]):
                text = text[: match.start()] + token + text[match.start() + end :]
                break
    return text


def is_iban(number: str) -> bool:
    """Length and check digits by the rules of its country."""
    from stdnum import iban

    return iban.is_valid(number)


def is_card(number: str) -> bool:
    """13 to 19 digits with Luhn's check digit."""
    from stdnum import luhn

    digits = re.sub("[ -]", "", number)
    return len(digits) >= SHORTEST and luhn.is_valid(digits)


def mask_phones(text: str, region: str | None) -> str:
    """Phone numbers that are valid in their country, from the last to the first so that offsets hold."""
    from phonenumbers import PhoneNumberMatcher

    for match in reversed(list(PhoneNumberMatcher(text, region))):
        text = f"{text[: match.start]}[PHONE]{text[match.end :]}"
    return text


def check_region(region: str | None) -> None:
    """Raise UserError for a country that has no numbering plan."""
    from phonenumbers import SUPPORTED_REGIONS

    if region is not None and region not in SUPPORTED_REGIONS:
        raise UserError(f'ingest.phone_region: expected a country code such as US or GB, found "{region}"; correct it')
