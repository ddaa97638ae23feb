"""The bytes of a file, unpacked if it is gzip; what is no text at all is refused by its first bytes."""

import gzip
import io
import zlib
from pathlib import Path
from typing import Protocol

from pipeline.core.errors import UserError
from pipeline.sources.limits import MAX_BYTES, check_limit, unpacked_limit

GZIP_MARK = b"\x1f\x8b"
PARQUET_MARK = b"PAR1"
BLOCK_BYTES = 2**20
# First bytes of files that people take for text files: what they are, and what to do.
NO_TEXT = {
    GZIP_MARK: "a gzip file inside a gzip file; unpack it once",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook; save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV",
    PARQUET_MARK: "a Parquet file; name it .parquet, or set the format",
    b"%PDF": "a PDF; save its text",
    b"SQLite format 3": "a SQLite database; set ingest.source to sql",
    b"BZh": "a bzip2 file; unpack it, or pack it with gzip",
    b"\xfd7zXZ": "an xz file; unpack it, or pack it with gzip",
    b"\x28\xb5\x2f\xfd": "a zstd file; unpack it, or pack it with gzip",
}


class Readable(Protocol):
    """A binary stream."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most ``size``; none at the end."""
        ...


def inner_suffix(path: Path) -> str:
    """The ending of a file's name in lower case, without ``.gz``: ``.csv`` for notes.csv.gz."""
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def read_text_bytes(path: Path, name: str) -> bytes:
    """The bytes of a text file, unpacked if it is gzip; ``name`` is the file's name in messages.

    Raises UserError if it is too large, damaged, or no text.
    """
    check_limit(name, path.stat().st_size, MAX_BYTES, "bytes")
    data = path.read_bytes()
    if data.startswith(GZIP_MARK):
        data = unpack(data, name)
    check_is_text(data, name)
    return data


def unpack(data: bytes, name: str) -> bytes:
    """The content of a gzip file. Raises UserError if it is damaged, or if it grows beyond the limits."""
    limit = unpacked_limit(len(data))
    try:
        with gzip.open(io.BytesIO(data)) as file:
            unpacked = read_up_to(file, limit)
    except (OSError, EOFError, zlib.error):
        raise UserError(f"{name}: expected a whole gzip file, found a damaged one; pack it anew") from None
    if len(unpacked) > limit:
        raise UserError(
            f"{name}: expected at most {limit:,} bytes in a gzip file of {len(data):,}, found more; "
            "check what it holds, or unpack it"
        )
    return unpacked


def read_up_to(file: Readable, limit: int) -> bytes:
    """The first bytes of a file: at most ``limit``, and one block more if there are more."""
    blocks: list[bytes] = []
    total = 0
    while total <= limit and (block := file.read(BLOCK_BYTES)):
        blocks.append(block)
        total += len(block)
    return b"".join(blocks)


def check_is_text(start: bytes, name: str) -> None:
    """Raises UserError if a file that begins with ``start`` is a known format other than text."""
    for mark, what in NO_TEXT.items():
        if start.startswith(mark):
            raise UserError(f"{name}: expected a text file, found {what}")
