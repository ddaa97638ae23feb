"""Bytes to text in the given or the detected encoding; bytes that are invalid in it stay recognisable."""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator

from pipeline.core.errors import UserError
from pipeline.core.printable import print_note

# UTF-32 comes first: its mark starts with the mark of UTF-16.
BYTE_ORDER_MARKS = [
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
]
# The encodings that text files are really written in. With all of Python's to choose from, the detector prefers rare
# ones that happen to fit: French became ISO 8859-10.
CODE_PAGES = [
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "koi8_r"),
    *("gb18030", "big5", "cp932", "euc_jp", "cp949"),
]
CHANCE_SHARE = 0.1  # of a code page's lines beyond ASCII that may be valid UTF-8 by chance
DAMAGE_SHARE = 0.01  # of the lines beyond ASCII that may be damaged in a file in UTF-8
SAMPLE_BYTES = 1 << 16  # a sample is enough to detect an encoding, and the time does not grow with the file
LINE_BREAK = re.compile(r"\r\n|\r|\n")


def decode(data: bytes, encoding: str | None, name: str) -> tuple[str, str]:
    """The text of ``data`` and its encoding, which is detected if ``encoding`` is None.

    A byte that is invalid in the encoding becomes a lone surrogate, which ``has_invalid`` finds. In a file whose lines
    are in UTF-8 and in a code page, each line is read in its own. What is detected other than UTF-8 is printed on
    stderr. Raises UserError if Python does not know the encoding, or if the file cannot be decoded with it. ``name`` is
    the file's name in messages.
    """
    chosen = encoding or detect_encoding(data)
    if not encoding and is_mixed(data, chosen):
        return decode_mixed(data, chosen, name), chosen
    if not encoding and chosen != "utf-8":
        print_note(f"{name}: read as {chosen} (detected); set ingest.encoding if this is wrong")
    try:
        return data.decode(chosen, "surrogateescape").removeprefix("\ufeff"), chosen
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name}: expected text in {chosen}, found other bytes at offset {error.start}; set ingest.encoding"
        ) from None
    except (LookupError, ValueError):  # the codec "undefined" raises a UnicodeError
        raise UserError(
            f'ingest.encoding: expected an encoding that Python knows, such as utf-8 or gb18030, found "{encoding}"'
        ) from None


def is_mixed(data: bytes, chosen: str) -> bool:
    """Whether a file that was detected as a code page has lines in UTF-8 as well, more than fit by chance."""
    if chosen not in CODE_PAGES:
        return False
    lines = [line for line in data.split(b"\n") if not line.isascii()]
    valid = sum(map(is_utf8, lines))
    return valid >= 3 and valid > CHANCE_SHARE * len(lines)


def decode_mixed(data: bytes, code_page: str, name: str) -> str:
    """The text of a file, each line in UTF-8 if it is valid there, else in the code page; says so on stderr."""
    lines, others = [], 0
    for line in data.split(b"\n"):
        encoding = "utf-8" if is_utf8(line) else code_page
        others += encoding != "utf-8"
        lines.append(line.decode(encoding, "surrogateescape"))
    print_note(
        f"{name}: read as utf-8, and {others} lines that are not as {code_page} (detected); set ingest.encoding if "
        "this is wrong"
    )
    return "\n".join(lines).removeprefix("\ufeff")


def newline_of(text: str) -> str:
    """What ends a line of a file, as the ``newline`` of a stream: only LF, or any line break if ``text`` has CR first.

    ``text`` is the file or its beginning. In a file whose first line ends with LF or CRLF, a CR is part of a cell.
    """
    first = LINE_BREAK.search(text)
    return "\n" if first and first[0] != "\r" else ""


def has_invalid(text: str) -> bool:
    """Whether ``text`` holds a lone surrogate: a byte that was invalid in the encoding, or a bad JSON escape."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def escape_invalid(text: str) -> str:
    """``text`` with each lone surrogate written as an escape such as ``\\udcff``, so that it can be stored as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def detect_encoding(data: bytes) -> str:
    """Name of the encoding that ``data`` is most likely in."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    if utf16 := detect_utf16(data[:SAMPLE_BYTES]):
        return utf16
    if is_utf8(data):
        return "utf-8"
    foreign = foreign_lines(data.split(b"\n"))
    return detect_code_page(b"\n".join(foreign)[:SAMPLE_BYTES]) if foreign else "utf-8"


def is_streamed_as_utf8(blocks: Callable[[], Iterator[bytes]]) -> bool:
    """Whether `detect_encoding` takes a file for UTF-8, found out without holding it in memory.

    ``blocks`` starts to read the file anew each time that it is called.
    """
    head = next(blocks(), b"")
    mark = next((encoding for mark, encoding in BYTE_ORDER_MARKS if head.startswith(mark)), None)
    if mark or detect_utf16(head[:SAMPLE_BYTES]):
        return mark == "utf-8"
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in blocks():
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return not foreign_lines(split_blocks(blocks()))
    return True


def split_blocks(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a file that is read block by block, without the LF that ends them."""
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        yield from lines
    yield rest


def foreign_lines(lines: Iterable[bytes]) -> list[bytes]:
    """The first lines in another encoding than UTF-8, as many as a sample takes; none if they are damage in UTF-8.

    A few invalid lines are damage rather than another encoding.
    """
    sample: list[bytes] = []
    beyond_ascii = foreign = sampled = 0
    for line in lines:
        if line.isascii():
            continue
        beyond_ascii += 1
        if is_foreign(line):
            foreign += 1
            if sampled < SAMPLE_BYTES:
                sample.append(line)
                sampled += len(line) + 1
    return [] if foreign <= max(2, DAMAGE_SHARE * beyond_ascii) else sample


def is_foreign(line: bytes) -> bool:
    """Whether a line is in another encoding than UTF-8: most of its bytes beyond ASCII are invalid there.

    A line in UTF-8 that was cut within a character is damaged, not foreign.
    """
    if is_utf8(line):
        return False
    beyond_ascii = [character for character in line.decode("utf-8", "surrogateescape") if character > "\x7f"]
    invalid = sum("\udc80" <= character <= "\udcff" for character in beyond_ascii)
    return 2 * invalid > len(beyond_ascii)


def detect_utf16(sample: bytes) -> str | None:
    """Name of the UTF-16 variant of a file without a byte order mark; None if it is not UTF-16.

    ASCII characters in UTF-16 leave zeros at every second byte; stray NUL characters fall on even and odd bytes alike.
    """
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if max(even, odd) < max(8, 0.05 * len(sample)) or min(even, odd) > 0.1 * max(even, odd):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def is_utf8(data: bytes) -> bool:
    """Whether ``data`` decodes as UTF-8."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def detect_code_page(sample: bytes) -> str:
    """Name of the code page of text that is not Unicode, by charset-normalizer; ``utf-8`` if none fits."""
    from charset_normalizer import from_bytes

    matches = from_bytes(sample, cp_isolation=CODE_PAGES)
    best = matches.best()
    if best is None:
        return "utf-8"
    # Western text often fits the Central European page as well; the reverse does not hold, so Western wins a tie.
    plausible = {name for match in matches for name in match.could_be_from_charset}
    return "cp1252" if best.encoding == "cp1250" and "cp1252" in plausible else best.encoding
