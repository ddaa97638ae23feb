"""Bytes to text: the encoding is given or detected, and bytes that do not fit it stay recognisable."""

import codecs
import sys

from pipeline.core.errors import UserError

# UTF-32 first: its mark starts with that of UTF-16.
MARKS = [
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
# What text files are really written in. Left to choose from all of Python's, the detector prefers rare ones that
# happen to fit: French became ISO 8859-10.
CODE_PAGES = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "koi8_r"),
    *("gb18030", "big5", "cp932", "euc_jp", "cp949"),
]
SAMPLE = 1 << 16  # bytes


def decode(data: bytes, encoding: str | None, name: str) -> tuple[str, str]:
    """Text and its encoding; a byte that is not valid in it becomes a lone surrogate (see ``is_broken``).

    A detected encoding other than UTF-8 is announced on stderr. Raises UserError for an encoding that Python does not
    know, or in which the file makes no sense.
    """
    chosen = encoding or detect(data)
    if not encoding and chosen != "utf-8":
        print(f"{name}: read as {chosen} (detected); set ingest.encoding if this is wrong", file=sys.stderr)
    try:
        return data.decode(chosen, "surrogateescape").removeprefix("\ufeff"), chosen
    except LookupError:
        raise UserError(
            f'ingest.encoding: expected an encoding that Python knows, such as utf-8 or gb18030, found "{encoding}"'
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name}: expected text in {chosen}, found other bytes at offset {error.start}; set ingest.encoding"
        ) from None


def is_broken(text: str) -> bool:
    """Whether the text holds a lone surrogate: a byte that was not valid, or a bad JSON escape."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def printable(text: str) -> str:
    """The text with every lone surrogate written as an escape, so that it can be stored."""
    return text.encode("utf-8", "backslashreplace").decode()


def detect(data: bytes) -> str:
    """The encoding that the bytes are most likely in."""
    for mark, encoding in MARKS:
        if data.startswith(mark):
            return encoding
    if utf16 := wide(data[:SAMPLE]):
        return utf16
    try:
        data.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        lines = [line for line in data.split(b"\n") if not line.isascii()]
    bad = [line for line in lines if not is_utf8(line)]
    # A few bad lines, or fewer than good ones, are damage in a UTF-8 file and no other encoding.
    if len(bad) <= max(2, len(lines) - len(bad)):
        return "utf-8"
    return narrow(b"\n".join(bad)[:SAMPLE])


def wide(sample: bytes) -> str | None:
    """UTF-16 without a mark: its ASCII characters leave zeros at every second byte, where stray NULs fall anywhere."""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) < max(8, 0.05 * len(sample)) or min(even, odd) > 0.1 * max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def is_utf8(line: bytes) -> bool:
    """Whether the line decodes as UTF-8."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def narrow(sample: bytes) -> str:
    """The code page of text that is not Unicode, by charset-normalizer."""
    from charset_normalizer import from_bytes

    matches = from_bytes(sample, cp_isolation=CODE_PAGES)
    best = matches.best()
    if best is None:
        return "utf-8"
    # Western text often looks as good in the Central European page; the reverse does not hold, so Western wins a tie.
    plausible = {name for match in matches for name in match.could_be_from_charset}
    return "cp1252" if best.encoding == "cp1250" and "cp1252" in plausible else best.encoding
