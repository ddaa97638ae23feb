"""Wanted rows are found in files of every kind, and the other records stay as they are, byte for byte."""

import gzip
import json
import os
import random
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.params import Params
from pipeline.labelling.forgetting import LARGEST, NOT_SEARCHED, Wanted, search_content, search_file
from tasks.dvc.objects import Objects
from tasks.forget.findings import find_in_objects

TEXT = "my parcel, the «blue» one, is late"


@pytest.fixture
def wanted(params: Callable[..., Params]) -> Wanted:
    """One text."""
    wanted = Wanted(params().ingest)
    wanted.add_text(TEXT)
    return wanted


@pytest.mark.parametrize(
    ("content", "rest", "rows"),
    [
        (f'text,label\n"{TEXT}",x\nother,y\n', "text,label\nother,y\n", (2,)),
        (f'text;label\r\n{TEXT};x\r\n"a ""b"";\nc";y\r\n', 'text;label\r\n"a ""b"";\nc";y\r\n', (2,)),
        (f"text\tlabel\n{TEXT}\tx\nother\ty\n", "text\tlabel\nother\ty\n", (2,)),
        (f"one line\n{TEXT}\nanother line", "one line\nanother line", (2,)),
        (f"a\n  {TEXT.replace(' ', '   ')}  \nb\n", "a\nb\n", (2,)),
        (json.dumps({"text": TEXT}) + '\n{"text":"other" }\n', '{"text":"other" }\n', (1,)),
        (f'{{"t": "other"}}\nnot json\n{json.dumps({"a": {"b": [TEXT]}})}\n', '{"t": "other"}\nnot json\n', (3,)),
        (json.dumps([{"data": {"text": TEXT}}, 7]), "[\n  7\n]\n", (1,)),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_records_are_taken_out(wanted: Wanted, content: str, rest: str, rows: tuple[int, ...], encoding: str) -> None:
    found = search_content(content.encode(encoding), wanted)
    assert found is not None and found.rest is not None
    assert (found.rest.decode(encoding), found.rows) == (rest, rows)


def test_ids_are_found_like_texts(wanted: Wanted) -> None:
    (row,) = wanted.ids
    found = search_content(f"id,flip\n{row},yes\n0000,no\n".encode(), wanted)
    assert found is not None and found.rest == b"id,flip\n0000,no\n"
    assert wanted.seen == {row}


def test_compressed_files_stay_compressed(wanted: Wanted) -> None:
    found = search_content(gzip.compress(f"a\n{TEXT}\nb\n".encode()), wanted)
    assert found is not None and found.rest is not None and gzip.decompress(found.rest) == b"a\nb\n"
    assert search_content(gzip.compress(b"a\nb\n"), wanted) is None


@pytest.mark.parametrize(
    "content",
    [
        f"<!doctype html><p>{TEXT.replace('parcel', '<b>par</b>cel').replace('«', '&laquo;')}</p>",
        f"ValueError: cannot read '{TEXT}'",
        json.dumps({"examples": {"first": TEXT}}, indent=2),
        f'text\n"an open quote\n{TEXT}\n',
    ],
)
def test_a_file_without_records_goes_as_a_whole(wanted: Wanted, content: str) -> None:
    found = search_content(content.encode(), wanted)
    assert found is not None and found is not NOT_SEARCHED and found.rest is None


@pytest.mark.parametrize(
    "content",
    [
        b"text,label\nmy parcel is late,x\n",
        b"",
        b"{}",
        b"[[[[",
        json.dumps({"model": {"vocab": [[TEXT, 1]]}, "added_tokens": []}).encode(),
        b"<html><p>nothing</p></html>",
    ],
)
def test_other_files_are_left_alone(wanted: Wanted, content: bytes) -> None:
    assert search_content(content, wanted) is None


def test_a_file_that_nobody_understands_is_not_searched(wanted: Wanted) -> None:
    assert search_content(b"PAR1 and nothing else", wanted) is NOT_SEARCHED
    assert search_content(b"\x1f\x8b and nothing else", wanted) is NOT_SEARCHED
    assert search_content(b"PK\x03\x04" + bytes(range(256)) * 20, wanted) is NOT_SEARCHED


@pytest.mark.parametrize("masked", [False, True])
def test_bytes_that_are_no_text_hold_no_row(params: Callable[..., Params], masked: bool) -> None:
    presidio = {"entities": ["US_SSN"], "model": None, "language": "en", "min_score": 0.4}
    wanted = Wanted(params({"ingest": {"mask_pii": True, "presidio": presidio}} if masked else {}).ingest)
    wanted.add_text(TEXT)
    generator = random.Random(0)
    for _ in range(20 if masked else 1000):
        search_content(generator.randbytes(32), wanted)
    assert search_content(b"text\nm\xfcller\n", wanted) is None
    assert search_content(b'["a long bad escape \\ud800", "another string of text"]', wanted) is None
    assert wanted.seen == set()


@pytest.mark.parametrize("others", [0, 1, 40])
def test_a_row_is_found_in_a_file_in_latin_1(params: Callable[..., Params], others: int) -> None:
    wanted = Wanted(params().ingest)
    wanted.add_text("le café de Zoé est très cher")
    rest = "text,label\n" + "".join(f"la fenêtre du frère numéro {row},x\n" for row in range(others))
    found = search_content(f"{rest}le café de Zoé est très cher,x\n".encode("latin-1"), wanted)
    assert found is not None and found.rest == rest.encode("latin-1") and found.rows == (others + 2,)


def test_invalid_bytes_of_others_stay_in_a_json_list(wanted: Wanted) -> None:
    found = search_content(json.dumps([TEXT, "other"]).encode().replace(b"other", b"caf\xe9 noir"), wanted)
    assert found is not None and found.rest == b'[\n  "caf\xe9 noir"\n]\n'


def test_several_columns_joined_are_one_text(params: Callable[..., Params]) -> None:
    columns: dict[str, Any] = {"text": ["title", "body"], "label": "label", "split": None, "groups": {}}
    wanted = Wanted(params({"ingest": {"columns": columns, "join": "\n"}}).ingest)
    wanted.ids.add(table.row_id(wanted.source, "late parcel\nit never came"))
    found = search_content(b"title,body,label\nlate parcel,it never came,x\nlate parcel,other,x\n", wanted)
    assert found is not None and found.rest == b"title,body,label\nlate parcel,other,x\n"
    lines = b'{"title": "late parcel", "body": "it never came"}\n'
    assert search_content(lines, wanted) is not None


def test_masked_personal_data_is_found_in_the_raw_text(params: Callable[..., Params]) -> None:
    wanted = Wanted(params({"ingest": {"mask_pii": True}}).ingest)
    wanted.ids.add(table.row_id(wanted.source, "write to [EMAIL]"))
    assert search_content(b"text\nwrite to ada@example.com\n", wanted) is not None


def test_what_presidio_masked_is_found_in_the_raw_text(params: Callable[..., Params]) -> None:
    presidio = {"entities": ["US_SSN"], "model": None, "language": "en", "min_score": 0.4}
    wanted = Wanted(params({"ingest": {"mask_pii": True, "presidio": presidio}}).ingest)
    wanted.ids.add(table.row_id(wanted.source, "my ssn is [US_SSN]"))
    assert search_content(b"text\nmy ssn is 219-09-9998\n", wanted) is not None


def test_a_text_that_is_the_name_of_a_class_is_not_taken_for_it(params: Callable[..., Params]) -> None:
    wanted = Wanted(params().ingest)
    wanted.add_text("refund")
    found = search_content(b"text,label\nrefund,delivery\nother,refund\n", wanted)
    assert found is not None and found.rest == b"text,label\nother,refund\n"
    lines = search_content(b'{"text": "other", "label": "refund"}\n{"text": "refund"}\n', wanted)
    assert lines is not None and lines.rest == b'{"text": "other", "label": "refund"}\n'
    assert search_content(b'{"labels": ["delivery", "refund"]}', wanted) is None
    assert search_content(b'["delivery", "refund"]', wanted) is None
    assert search_content(b"<html><b>refund</b></html>", wanted) is None


def test_a_header_is_no_row(params: Callable[..., Params]) -> None:
    wanted = Wanted(params().ingest)
    wanted.add_text("text")
    assert search_content(b"text,label\nother,x\n", wanted) is None


def test_tables_keep_rows_whose_label_is_the_text(params: Callable[..., Params]) -> None:
    rows = pd.DataFrame({"id": ["a", "b"], "text": ["refund", "other"], "label": ["delivery", "refund"]})
    content = BytesIO()
    rows.to_parquet(content, index=False)
    wanted = Wanted(params().ingest)
    wanted.add_text("refund")
    found = search_content(content.getvalue(), wanted)
    assert found is not None and found.rest is not None and found.rows == (1,)
    pd.testing.assert_frame_equal(pd.read_parquet(BytesIO(found.rest)), rows[1:].reset_index(drop=True))


@pytest.mark.parametrize(
    ("head", "is_searched"),
    [
        (b"\x90\x01\0\0\0\0\0\0" + b'{"layer": {}}', True),
        (b"\x08\x08\x12\x07pytorch", True),
        (b"\x93NUMPY\x01\0", True),
        (b"SQLite format 3\0", False),
        (b"text,label\n", False),
    ],
)
def test_a_file_that_is_too_large_is_not_searched_unless_it_holds_weights(
    wanted: Wanted, tmp_path: Path, head: bytes, is_searched: bool
) -> None:
    path = tmp_path / "large"
    path.write_bytes(head)
    os.truncate(path, LARGEST + 1)
    assert search_file(path, wanted) is (None if is_searched else NOT_SEARCHED)


def test_objects_of_dvc_that_cannot_be_read_are_reported(wanted: Wanted, tmp_path: Path) -> None:
    contents = {"table": b"PAR1 and nothing else", "rows": f"a\n{TEXT}\n".encode(), "model": b"PK" + bytes(range(256))}
    (tmp_path / "ab").mkdir()
    for name, content in contents.items():
        (tmp_path / "ab" / name).write_bytes(content)
    found = find_in_objects([Objects("DVC cache", tmp_path, None)], wanted, set())
    assert {item.name: item.action for item in found} == {"abtable": "unsearched", "abrows": "object"}
