"""The lines of a file or of standard input, decoded as they come."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pipeline.core.errors import UserError
from pipeline.core.printable import print_note
from pipeline.sources.decoding import detect_encoding, escape_invalid, newline_of
from pipeline.sources.limits import MAX_BYTES, MAX_LINE_CHARS, check_limit
from pipeline.sources.packed import check_is_text, inner_suffix, packer_of, read_up_to, unpack
from pipeline.sources.text_format import FORMATS, Choice

HEAD_BYTES = 2**16  # from which the encoding is detected
STANDARD_INPUT = "standard input"


class HeadedStream(io.RawIOBase):
    """A binary stream whose first bytes were read before."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self.head, self.rest = head, rest

    def readable(self) -> bool:
        """True: the stream can be read."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """The number of bytes that were read into ``buffer``; 0 at the end."""
        if self.head:
            data, self.head = self.head[: len(buffer)], self.head[len(buffer) :]
        else:
            data = self.rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def source_name(source: str) -> str:
    """The name of an input in messages."""
    return STANDARD_INPUT if source == "-" else escape_invalid(source)


@contextmanager
def open_lines(source: str, choice: Choice) -> Iterator[Iterator[str]]:
    """The lines of the file ``source``, or of standard input for ``-``, unpacked if it is packed, with line ends.

    Bytes that are invalid in the detected encoding become lone surrogates, so that each row can be checked later.
    Raises UserError if the file cannot be opened, if the ending of its name is unknown, or if it holds no text.
    """
    binary = sys.stdin.buffer if source == "-" else open_file(source, choice)
    try:
        yield decoded_lines(binary, source_name(source))
    finally:
        if source != "-":  # standard input is not ours to close
            binary.close()


def open_file(source: str, choice: Choice) -> BinaryIO:
    """A binary stream of a file.

    Raises UserError if the ending of its name is unknown and no format is given, or if it cannot be opened.
    """
    ending = inner_suffix(Path(source))
    if ending not in FORMATS and not choice.format:
        raise UserError(
            f"{source_name(source)}: expected a file that ends in {', '.join(FORMATS)}, also with .gz or .zst, found "
            f"{escape_invalid(ending) or 'no ending'}; convert it, or name the format with {choice.option}"
        )
    try:
        return Path(source).open("rb")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no name of a file"
        raise UserError(f"{source_name(source)}: expected a readable file, found: {reason}; check the path") from None


def decoded_lines(binary: BinaryIO, name: str) -> Iterator[str]:
    """The lines of a binary stream, each read when it is asked for.

    An encoding other than UTF-8 is printed on stderr. Raises UserError if the stream holds no text, a line is too long
    or the bytes do not fit the encoding.
    """
    head = binary.read(HEAD_BYTES)
    if packer_of(head):
        packed = read_up_to(with_head(head, binary), MAX_BYTES)
        check_limit(name, len(packed), MAX_BYTES, "bytes")
        binary = io.BytesIO(unpack(packed, name))
        head = binary.read(HEAD_BYTES)
    check_is_text(head, name)
    encoding = detect_encoding(head)
    if encoding != "utf-8":
        print_note(f"{name}: read as {encoding} (detected); convert it to UTF-8 if this is wrong")
    codec = "utf-8-sig" if encoding == "utf-8" else encoding
    newline = newline_of(head.decode(codec, "ignore"))
    stream = io.TextIOWrapper(with_head(head, binary), encoding=codec, errors="surrogateescape", newline=newline)
    number = 0
    try:
        while line := stream.readline(MAX_LINE_CHARS + 1):
            number += 1
            check_limit(f"{name}:{number}", len(line), MAX_LINE_CHARS, "characters in a line")
            yield line
    except UnicodeDecodeError:
        raise UserError(
            f"{name}:{number + 1}: expected text in {encoding}, found other bytes; save it as UTF-8"
        ) from None


def with_head(head: bytes, rest: BinaryIO) -> io.BufferedReader:
    """A buffered stream of the bytes that were read before and those that follow."""
    return io.BufferedReader(HeadedStream(head, rest))
