"""Spellings of a label or a group: which ones are certainly the same value, and which ones only look alike."""

import re
import unicodedata
from decimal import Decimal, InvalidOperation
from html import unescape

# Characters that are not seen: format characters (category Cf), variation selectors, fillers and blanks.
OTHER_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
JOINERS = "\u200c\u200d"  # they change how Persian and Indic words are read, and make one emoji of two
EMOJI_PARTS = ("So", "Sk", "Mn")  # categories of what stands before a joiner or tag within an emoji
# Decompositions that change the meaning: a circled or raised digit is not the digit.
OTHER_MEANINGS = ("<super>", "<sub>", "<circle>", "<square>", "<fraction>")
WHOLE_NUMBER = re.compile(r"([+-]?\d+)\.0*", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d{1,2})?", re.ASCII)
THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+", re.ASCII)
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+", re.ASCII)
BOOLEANS = {name: name.lower() for name in ("true", "True", "TRUE", "false", "False", "FALSE")}
WORD_SEPARATORS = re.compile(r"(?<=\w)[\s\-‐-―]+(?=\w)")
QUOTES = "\"'`´‘’“”„«»"
# Cyrillic and Greek letters that look like Latin ones, all in lower case.
HOMOGLYPHS = str.maketrans("аеорсухіјѕһкмтοανρτυικ", "aeopcyxijshkmtoavptuik")


def strip_invisible(value: str) -> str:
    """``value`` without control characters and invisible ones that say nothing, and without outer white space.

    Joiners between letters that are not ASCII stay, and so does what belongs to an emoji.
    """
    if value.isascii() and value.isprintable():
        return " ".join(value.split())
    kept = [char for i, char in enumerate(value) if not is_invisible(char) or says_something(value, i)]
    return " ".join("".join(kept).split())


def plain_spelling(value: str) -> str:
    """The spelling that ``value`` shares with all that are certainly the same value.

    Invisible characters are left out, full-width and other compatibility forms become plain ones (NFKC, but for those
    that mean something else, such as a circled digit), whole numbers lose ".0", and booleans become lower case.
    """
    plain = " ".join((value if value.isascii() and value.isprintable() else fold_forms(value)).split())
    if number := WHOLE_NUMBER.fullmatch(plain):
        return number[1]
    return BOOLEANS.get(plain, plain)


def fold_forms(value: str) -> str:
    """``value`` without invisible characters, compatibility forms in place of full-width ones and the like."""
    visible = "".join(char for i, char in enumerate(value) if not is_invisible(char) or is_in_emoji(value, i))
    folded = (char if has_other_meaning(char) else unicodedata.normalize("NFKC", char) for char in visible)
    return unicodedata.normalize("NFC", "".join(folded))


def look_alike_key(value: str) -> str:
    """A key that ``value`` shares with all spellings that a person may take for the same value.

    It ignores capitals, entities of HTML, quotes, a full stop or colon at the end, the difference of space, hyphen and
    underscore, letters of another script that look the same, and how a number is written.
    """
    folded = unicodedata.normalize("NFKC", plain_spelling(unescape(value))).casefold()
    if (number := read_number(folded)) is not None:
        return f"{number.normalize():f}"
    folded = unicodedata.normalize("NFC", folded).translate(HOMOGLYPHS).replace("_", " ")
    words = WORD_SEPARATORS.sub(" ", folded.strip(QUOTES).rstrip(".,;:!"))
    return " ".join(words.strip(QUOTES).split()) or folded


def read_number(text: str) -> Decimal | None:
    """The number that a text spells, with a decimal point or comma; None if it spells none."""
    if THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    elif DECIMAL_COMMA.fullmatch(text):
        text = text.replace(",", ".")
    try:
        return Decimal(text) + 0 if NUMBER.fullmatch(text) else None  # adding 0 makes -0 the same as 0
    except InvalidOperation:
        return None


def is_invisible(char: str) -> bool:
    """Whether a character is not seen; white space is not meant."""
    if char.isspace():
        return False
    return unicodedata.category(char) in ("Cf", "Cc") or bool(OTHER_INVISIBLE.match(char))


def says_something(value: str, position: int) -> bool:
    """Whether the invisible character at ``position`` changes how ``value`` is read."""
    if is_in_emoji(value, position):
        return True
    around = value[position - 1 : position] + value[position + 1 : position + 2]
    return value[position] in JOINERS and len(around) == 2 and not around.isascii() and around.isprintable()


def is_in_emoji(value: str, position: int) -> bool:
    """Whether the invisible character at ``position`` follows an emoji, of which it is a part."""
    before = value[:position].rstrip("\u200d\ufe0f" + "".join(map(chr, range(0xE0020, 0xE0080))))
    is_part = value[position] in "\u200d" or "\U000e0020" <= value[position] <= "\U000e007f"
    return is_part and bool(before) and unicodedata.category(before[-1]) in EMOJI_PARTS and not before[-1].isalnum()


def has_other_meaning(char: str) -> bool:
    """Whether the compatibility form of a character is another value, such as a circled digit."""
    return unicodedata.decomposition(char).startswith(OTHER_MEANINGS)
