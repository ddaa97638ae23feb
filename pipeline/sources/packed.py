"""The bytes of a file, unpacked if it is gzip or zstd; what is no text at all is refused by its first bytes."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from pipeline.core.errors import UserError
from pipeline.sources.limits import MAX_BYTES, MAX_STREAM_BYTES, check_limit, unpacked_limit

GZIP_MARK = b"\x1f\x8b"
ZSTD_MARK = b"\x28\xb5\x2f\xfd"
PACKERS = {GZIP_MARK: "gzip", ZSTD_MARK: "zstd"}
PACKED_ENDINGS = (".gz", ".zst")
PARQUET_MARK = b"PAR1"
BLOCK_BYTES = 2**20
# First bytes of files that people take for text files: what they are, and what to do.
NO_TEXT = {
    GZIP_MARK: "a gzip file inside another; unpack it once",
    ZSTD_MARK: "a zstd file inside another; unpack it once",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook; save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV",
    PARQUET_MARK: "a Parquet file; name it .parquet, or set the format",
    b"%PDF": "a PDF; save its text",
    b"SQLite format 3": "a SQLite database; set ingest.source to sql",
    b"BZh": "a bzip2 file; unpack it, or pack it with gzip",
    b"\xfd7zXZ": "an xz file; unpack it, or pack it with gzip",
}


class Readable(Protocol):
    """A binary stream."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most ``size``; none at the end."""
        ...


def inner_suffix(path: Path) -> str:
    """The ending of a file's name in lower case, without ``.gz`` or ``.zst``: ``.csv`` for notes.csv.gz."""
    return Path(path.stem if path.suffix.lower() in PACKED_ENDINGS else path.name).suffix.lower()


def packer_of(start: bytes) -> str | None:
    """The program that packed what begins with ``start``: gzip or zstd; None if it is not packed."""
    return next((name for mark, name in PACKERS.items() if start.startswith(mark)), None)


def open_packed(packed: Path | BinaryIO, packer: str) -> BinaryIO:
    """The unpacked content of a file or stream that gzip or zstd packed."""
    if packer == "gzip":
        return cast(BinaryIO, gzip.open(packed))
    import pyarrow as pa

    stream = packed.open("rb") if isinstance(packed, Path) else packed
    return cast(BinaryIO, pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), "zstd"))


def open_text_bytes(path: Path, name: str) -> BinaryIO:
    """A binary stream of a text file, unpacked if it is packed; ``name`` is the file's name in messages.

    Raises UserError if the file is too large.
    """
    check_limit(name, path.stat().st_size, MAX_STREAM_BYTES, "bytes")
    packer = file_packer(path)
    return open_packed(path, packer) if packer else path.open("rb")


def file_packer(path: Path) -> str | None:
    """The program that packed a file: gzip or zstd; None if it is not packed."""
    with path.open("rb") as file:
        return packer_of(file.read(len(ZSTD_MARK)))


def read_blocks(path: Path, name: str) -> Iterator[bytes]:
    """The bytes of a text file, unpacked, block by block, as far as they are asked for.

    Raises UserError if it is too large or damaged, if it grows beyond the limits, or if it is no text.
    """
    packer, size, total = file_packer(path), path.stat().st_size, 0
    limit = unpacked_limit(size, MAX_STREAM_BYTES) if packer else MAX_STREAM_BYTES
    with open_text_bytes(path, name) as stream:
        while block := read_packed(stream, packer, name):
            if not total:
                check_is_text(block, name)
            total += len(block)
            if total > limit:
                raise grown_error(name, packer or "", size, limit)
            yield block


def read_packed(stream: Readable, packer: str | None, name: str) -> bytes:
    """The next block of a stream. Raises UserError if it is packed and damaged."""
    if packer is None:
        return stream.read(BLOCK_BYTES)
    try:
        return stream.read(BLOCK_BYTES)
    except (OSError, EOFError, zlib.error):
        raise UserError(f"{name}: expected a whole {packer} file, found a damaged one; pack it anew") from None


def grown_error(name: str, packer: str, packed_bytes: int, limit: int) -> UserError:
    """The error of a packed file that holds more than it may."""
    return UserError(
        f"{name}: expected at most {limit:,} bytes in a {packer} file of {packed_bytes:,}, found more; check what it "
        "holds, or unpack it"
    )


def unpack(data: bytes, name: str) -> bytes:
    """The content of a gzip or zstd file as a whole.

    Raises UserError if it is damaged, or if it grows beyond the limits.
    """
    limit, packer = unpacked_limit(len(data)), packer_of(data) or "gzip"
    blocks: list[bytes] = []
    total = 0
    with open_packed(io.BytesIO(data), packer) as stream:
        while block := read_packed(stream, packer, name):
            blocks.append(block)
            total += len(block)
            if total > limit:
                raise grown_error(name, packer, len(data), limit)
    return b"".join(blocks)


def read_up_to(file: Readable, limit: int) -> bytes:
    """The first bytes of a file: at most ``limit``, and one block more if there are more."""
    blocks: list[bytes] = []
    total = 0
    while total <= limit and (block := file.read(BLOCK_BYTES)):
        blocks.append(block)
        total += len(block)
    return b"".join(blocks)


def read_whole(path: Path, name: str) -> bytes:
    """The bytes of a text file, unpacked. Raises UserError as `read_blocks`, and if they are too many for memory."""
    blocks: list[bytes] = []
    total = 0
    for block in read_blocks(path, name):
        total += len(block)
        check_limit(name, total, MAX_BYTES, "bytes in a file that is not in UTF-8")
        blocks.append(block)
    return b"".join(blocks)


def check_is_text(start: bytes, name: str) -> None:
    """Raises UserError if a file that begins with ``start`` is a known format other than text."""
    for mark, what in NO_TEXT.items():
        if start.startswith(mark):
            raise UserError(f"{name}: expected a text file, found {what}")
