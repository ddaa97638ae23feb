"""Masking of personal data (PII): e-mail addresses, IBANs, card and phone numbers become [EMAIL], [IBAN] and so on.

With ``ingest.presidio``, what Presidio finds in the rest becomes [PERSON], [LOCATION], [US_SSN] and so on.
"""

import re
from collections.abc import Callable

from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.sources.presidio_engine import load_analyzer
from pipeline.sources.presidio_masks import mask_entities

MASKS = ("EMAIL", "IBAN", "CARD", "PHONE")
EMAIL = re.compile(r"(?<![\w.+%-])[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
# Look-aheads find a candidate at each place where a number may start; its check digits decide whether it is one, and
# where it ends.
CARD = re.compile(r"(?<![\d.])(?=([2-6]\d{3}(?:[ -]?\d){9,15}))")
IBAN = re.compile(r"\b(?=([A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}))", re.IGNORECASE)
SHORTEST_NUMBER = 13  # characters of the shortest card number; the shortest IBAN has 15
MIN_DIGITS = 7  # a text with fewer digits is not searched: usual numbers are longer, and the search is slow


def mask_pii(text: str, params: Ingest) -> str:
    """One text as `mask_texts` masks it. Raises UserError for params that this machine cannot follow."""
    return mask_texts([text], params)[0]


def mask_texts(texts: list[str], params: Ingest) -> list[str]:
    """The texts with their personal data masked, first as `mask_contacts` does, then by Presidio if params ask for it.

    Whether to mask at all is the caller's decision. Raises UserError for params that this machine cannot follow.
    """
    check_region(params.phone_region)
    masked = [mask_contacts(text, params.phone_region) for text in texts]
    return mask_entities(masked, params.presidio, MASKS) if params.presidio.entities else masked


def check_masks(params: Ingest) -> None:
    """Load what `mask_texts` will need. Raises UserError for params that this machine cannot follow."""
    check_region(params.phone_region)
    if params.presidio.entities:
        load_analyzer(params.presidio.model, params.presidio.language, tuple(params.presidio.entities))


def mask_contacts(text: str, region: str | None) -> str:
    """``text`` with e-mail addresses, IBANs, card and phone numbers replaced by [EMAIL], [IBAN], [CARD], [PHONE].

    Only valid numbers are replaced: card numbers pass Luhn's check, IBANs the check of ISO 13616, phone numbers the
    numbering plan of their country. ``region`` is the country of phone numbers that have no country code.
    """
    if "@" in text:
        text = EMAIL.sub("[EMAIL]", text)
    if sum(map(str.isdecimal, text)) < MIN_DIGITS:
        return text
    text = mask_numbers(text, IBAN, is_iban, "[IBAN]")
    text = mask_numbers(text, CARD, is_card, "[CARD]")
    return mask_phones(text, region)


def mask_numbers(text: str, pattern: re.Pattern[str], is_valid: Callable[[str], bool], token: str) -> str:
    """``text`` with ``token`` in place of each valid number that ``pattern`` finds.

    The characters after a number often look like a part of it, so the longest valid beginning is replaced.
    """
    for match in reversed(list(pattern.finditer(text))):
        candidate = match[1]
        for length in range(len(candidate), SHORTEST_NUMBER - 1, -1):
            end = match.start() + length
            ends_a_word = candidate[length - 1].isalnum() and not text[end : end + 1].isalnum()
            if ends_a_word and is_valid(candidate[:length]):
                text = text[: match.start()] + token + text[end:]
                break
    return text


def is_iban(number: str) -> bool:
    """Whether length and check digits follow the rules of the IBAN's country (ISO 13616)."""
    from stdnum import iban

    return iban.is_valid(number)


def is_card(number: str) -> bool:
    """Whether a number has at least 13 digits and Luhn's check digit."""
    from stdnum import luhn

    digits = re.sub("[ -]", "", number)
    return len(digits) >= SHORTEST_NUMBER and luhn.is_valid(digits)


def mask_phones(text: str, region: str | None) -> str:
    """``text`` with [PHONE] in place of each phone number that is valid in its country."""
    from phonenumbers import PhoneNumberMatcher

    # From the last match to the first: a replacement then leaves the offsets of the others right.
    for match in reversed(list(PhoneNumberMatcher(text, region))):
        text = f"{text[: match.start]}[PHONE]{text[match.end :]}"
    return text


def check_region(region: str | None) -> None:
    """Raises UserError if ``region`` is no country code with a numbering plan; None is allowed."""
    from phonenumbers import SUPPORTED_REGIONS

    if region is not None and region not in SUPPORTED_REGIONS:
        raise UserError(f'ingest.phone_region: expected a country code such as US or GB, found "{region}"; correct it')
