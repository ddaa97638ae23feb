"""Files in gzip and zstd are read as what they hold, and a damaged one is refused in a line."""

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.core.errors import UserError
from pipeline.sources import decoding, files, packed
from pipeline.sources.text_format import Choice
from pipeline.sources.text_stream import open_lines
from tests.support.ingesting import params

CSV = 'text,label\n"one, with a comma",a\n"two\nlines",b\nthrée,a\n'.encode()
JSON = '{"text": "one", "label": "a"}\n{"text": "twö", "label": "b"}\n'.encode()


def pack(data: bytes, ending: str) -> bytes:
    """The data as a file of this ending holds it."""
    if ending == ".gz":
        return gzip.compress(data)
    return pa.compress(data, codec="zstd", asbytes=True) if ending == ".zst" else data


@pytest.mark.parametrize("ending", [".gz", ".zst"])
@pytest.mark.parametrize(("name", "content"), [("in.csv", CSV), ("in.jsonl", JSON)])
def test_packed_files_are_read_as_what_they_hold(tmp_path: Path, name: str, content: bytes, ending: str) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / (name + ending)).write_bytes(pack(content, ending))
    plain, unpacked = (files.read_file(tmp_path / n, "in", "train", params()) for n in (name, name + ending))
    assert plain == unpacked
    with open_lines(str(tmp_path / (name + ending)), Choice(option="--format")) as lines:
        assert "".join(lines).encode() == content


@pytest.mark.parametrize(("ending", "program"), [(".gz", "gzip"), (".zst", "zstd")])
def test_a_damaged_packed_file_is_refused(tmp_path: Path, ending: str, program: str) -> None:
    path = tmp_path / f"in.csv{ending}"
    path.write_bytes(pack(CSV * 1000, ending)[:-20])
    with pytest.raises(UserError, match=f"expected a whole {program} file, found a damaged one"):
        files.read_file(path, path.name, "train", params())


def test_blocks_of_a_file_in_utf8_may_end_within_a_character_or_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "BLOCK_BYTES", 7)
    path = tmp_path / "in.csv"
    for damage in (b"", b"caf\xe9,a\n"):
        data = CSV * 3 + damage
        path.write_bytes(data)
        assert decoding.is_streamed_as_utf8(lambda: packed.read_blocks(path, "in.csv"))
        records = list(files.read_file(path, path.name, "train", params()).records)
        assert records[2].cells == {"text": "thrée", "label": "a"}
        assert (records[-1].cells["text"] == "caf\udce9") == bool(damage)


def test_a_file_in_another_encoding_is_not_streamed(tmp_path: Path) -> None:
    lines = [f"déjà vu numéro {number},a".encode("cp1252") for number in range(50)]
    (tmp_path / "in.csv").write_bytes(b"text,label\n" + b"\n".join(lines))
    assert not decoding.is_streamed_as_utf8(lambda: packed.read_blocks(tmp_path / "in.csv", "in.csv"))
    source = files.read_file(tmp_path / "in.csv", "in.csv", "train", params(encoding="cp1252"))
    assert source.encoding == "cp1252"
    assert next(iter(source.records)).cells["text"] == "déjà vu numéro 0"
