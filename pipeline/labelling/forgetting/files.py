"""Searches a file for wanted rows, and gives its content without them where it consists of records."""

import gzip
import json
import re
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from pipeline.core.stage import write_atomically
from pipeline.labelling.forgetting.text_records import search_records, strings
from pipeline.labelling.forgetting.wanted import SHORTEST_QUOTE, Wanted
from pipeline.sources.decoding import BYTE_ORDER_MARKS, SAMPLE_BYTES, detect_encoding, detect_utf16

PARQUET, SQLITE, GZIP = b"PAR1", b"SQLite format 3\0", b"\x1f\x8b"
LARGEST = 1 << 30  # bytes of a file that is read


@dataclass(frozen=True)
class Found:
    """What a file holds of the wanted rows. ``rest`` is its content without them; None if it can only go as a whole."""

    rows: tuple[int, ...]  # numbers of the records, from 1; empty if the file has no records
    rest: bytes | None = None

    def write_rest(self, path: Path) -> None:
        """Write the file without the rows, whole or not at all."""
        rest = self.rest
        assert rest is not None
        write_atomically(path, lambda part: part.write_bytes(rest))


NOT_SEARCHED = Found(())  # of a file whose content cannot be understood


def search_file(path: Path, wanted: Wanted) -> Found | None:
    """What a file holds of the wanted rows; None if nothing, `NOT_SEARCHED` itself if that cannot be told."""
    if path.stat().st_size > LARGEST:
        return None if is_weights(path) else NOT_SEARCHED
    return search_content(path.read_bytes(), wanted)


def is_weights(path: Path) -> bool:
    """Whether a file holds the weights of a model (safetensors, ONNX) or an array of NumPy, and so no text of a row."""
    with path.open("rb") as file:
        head = file.read(16)
    is_onnx = head[:1] == b"\x08" and head[2:3] == b"\x12"  # the version of the format, then the name of the producer
    return head[8:10] == b'{"' or is_onnx or head.startswith(b"\x93NUMPY")


def may_hold_rows(path: Path) -> bool:
    """Whether a file that was not searched may hold rows: it is too large, or a damaged table or compressed file."""
    with path.open("rb") as file:
        return path.stat().st_size > LARGEST or file.read(4).startswith((PARQUET, GZIP))


def search_content(content: bytes, wanted: Wanted) -> Found | None:
    """The same for the content of a file."""
    if content.startswith(PARQUET):
        return search_parquet(content, wanted)
    if content.startswith(GZIP):
        return search_gzip(content, wanted)
    if content.startswith(SQLITE):
        return search_bytes(content, wanted)
    text, encoding = decode(content)
    if text is None:
        return NOT_SEARCHED
    if re.match(r"\s*<(!doctype|html|\?xml|svg)", text, re.IGNORECASE):
        return Found(()) if wanted.is_quoted_in(text, is_html=True) else None
    document = parse_json(text)
    if is_tokenizer(document):  # its words are nobody's row
        return None
    if isinstance(document, list) or (isinstance(document, dict) and "\n" in text.strip()):
        return search_json(document, wanted, encoding)
    rows, rest = search_records(text, wanted)
    if rows:
        return Found(tuple(rows), rest.encode(encoding, "surrogateescape"))
    return Found(()) if wanted.is_quoted_in(text) else None


def decode(content: bytes) -> tuple[str | None, str]:
    """The text of a file and its encoding; None for a file that is no text."""
    sample = content[:SAMPLE_BYTES]
    is_marked = any(content.startswith(mark) for mark, _ in BYTE_ORDER_MARKS)
    if b"\0" in sample and not is_marked and not detect_utf16(sample):
        return None, ""
    encoding = detect_encoding(content)
    if encoding == "utf-8" and content.startswith(b"\xef\xbb\xbf"):
        encoding = "utf-8-sig"
    try:
        text = content.decode(encoding, "surrogateescape")
    except UnicodeDecodeError:
        return None, encoding
    return (None if "\0" in text[:4096] else text), encoding


def search_parquet(content: bytes, wanted: Wanted) -> Found | None:
    """The rows of a table with a wanted id or text in any column, and the table without them."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(BytesIO(content))
    except (pa.ArrowException, OSError):
        return NOT_SEARCHED
    hit = pa.array([False] * table.num_rows, pa.bool_())
    for name, column in zip(table.column_names, table.columns, strict=True):
        if name in wanted.other_columns or not (
            pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        ):
            continue
        values = [value for value in pc.unique(column).to_pylist() if value and wanted.is_wanted(value)]
        if values:
            hit = pc.or_(hit, pc.fill_null(pc.is_in(column, pa.array(values, column.type)), False))
    rows = [row + 1 for row in range(table.num_rows) if hit[row].as_py()] if pc.any(hit).as_py() else []
    if not rows:
        return None
    rest = BytesIO()
    pq.write_table(table.filter(pc.invert(hit)), rest)
    return Found(tuple(rows), rest.getvalue())


def search_gzip(content: bytes, wanted: Wanted) -> Found | None:
    """The same for the content of a compressed file."""
    opened = zlib.decompressobj(wbits=31)
    try:
        inner = opened.decompress(content, LARGEST)
    except zlib.error:
        return NOT_SEARCHED
    if opened.unconsumed_tail or opened.unused_data:  # too long, or several parts
        return NOT_SEARCHED
    found = search_content(inner, wanted)
    if found is None or found.rest is None:
        return found
    return Found(found.rows, gzip.compress(found.rest))


def search_bytes(content: bytes, wanted: Wanted) -> Found | None:
    """Whether a database holds a wanted text, as it is or in JSON."""
    for text in (text for text in wanted.texts if len(text) >= SHORTEST_QUOTE):
        forms = (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])
        if any(form.encode("utf-8", "surrogateescape") in content for form in forms):
            return Found(())
    return None


def parse_json(text: str) -> Any:
    """The JSON document that a text is; None if it is none, such as lines of JSON."""
    if text.lstrip()[:1] not in ("[", "{"):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def is_tokenizer(document: Any) -> bool:
    """Whether a JSON document is the file of a tokenizer."""
    return isinstance(document, dict) and {"model", "added_tokens"} <= document.keys()


def search_json(content: Any, wanted: Wanted, encoding: str) -> Found | None:
    """The items of a JSON list that hold a wanted row, and the list without them; another document goes as a whole."""
    if isinstance(content, dict):
        return Found(()) if any(map(wanted.is_wanted_long, strings(content, wanted))) else None
    hit = [
        wanted.is_wanted_long(item) if isinstance(item, str) else any(map(wanted.is_wanted, strings(item, wanted)))
        for item in content
    ]
    if not any(hit):
        return None
    kept = [item for item, is_hit in zip(content, hit, strict=True) if not is_hit]
    rest = json.dumps(kept, indent=2, ensure_ascii=False) + "\n"
    try:
        content_kept = rest.encode(encoding, "surrogateescape")  # invalid bytes of others stay as they are
    except UnicodeEncodeError:  # a bad escape, which stands for no byte
        content_kept = rest.encode(encoding, "surrogatepass")
    return Found(tuple(number for number, is_hit in enumerate(hit, start=1) if is_hit), content_kept)
