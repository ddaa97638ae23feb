"""The lines of a text file, decoded: as they are iterated if it is in UTF-8, as a whole in any other encoding."""

import codecs
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from pipeline.sources.decoding import decode, is_streamed_as_utf8, newline_of
from pipeline.sources.limits import MAX_BYTES, check_limit
from pipeline.sources.packed import open_text_bytes, read_blocks, read_whole


def read_lines(path: Path, encoding: str | None, name: str) -> tuple[Iterator[str], str]:
    """The lines of a file with their line ends, and its encoding, which is detected if ``encoding`` is None.

    ``name`` is the file's name in messages. Raises UserError for a file that is too large, damaged or no text, and if
    Python does not know the encoding.
    """
    blocks = partial(read_blocks, path, name)
    if is_utf8_name(encoding) if encoding else is_streamed_as_utf8(blocks):
        for _ in blocks() if encoding else ():  # damage and limits of a packed file are known before its rows are read
            pass
        return stream_lines(path, name), encoding or "utf-8"
    text, encoding = decode(read_whole(path, name), encoding, name)
    return iter(io.StringIO(text, newline=newline_of(text))), encoding


def is_utf8_name(encoding: str) -> bool:
    """Whether Python knows UTF-8 by this name."""
    try:
        return codecs.lookup(encoding).name == "utf-8"
    except (LookupError, ValueError):
        return False


def stream_lines(path: Path, name: str) -> Iterator[str]:
    """The lines of a file in UTF-8, which is closed after the last one; invalid bytes become lone surrogates.

    Raises UserError for a line that is too long.
    """
    newline = newline_of(first_line(path, name).decode("utf-8", "replace"))
    with open_text_bytes(path, name) as binary:
        stream = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline=newline)
        number = 0
        while line := stream.readline(MAX_BYTES + 1):
            number += 1
            if len(line) > MAX_BYTES:
                check_limit(f"{name}:{number}", len(line), MAX_BYTES, "characters in a line")
            yield line


def first_line(path: Path, name: str) -> bytes:
    """The bytes up to the first LF and a little beyond; the whole file if it has none."""
    start = b""
    for block in read_blocks(path, name):
        start += block
        if b"\n" in block or b"\r" in block[:-1]:
            break
    return start
