"""Apertium: texts of a batch stay apart, and a missing program or direction names the package to install."""

import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.stage import Paths
from pipeline.stages.back_translate import apertium
from pipeline.stages.back_translate.run import run
from tests.support.translating import TEXTS, install_apertium, needs_apertium, params, read_output, write_gold


@needs_apertium
def test_apertium_keeps_texts_apart_and_rows_whole(tmp_path):
    texts = write_gold(tmp_path, TEXTS)
    metrics = run(params(batch_size=5), Paths(tmp_path))
    rows, rejected = read_output(tmp_path)
    assert set(rows["source_id"]) | set(rejected["source_id"]) == set(texts)
    assert set(rows["origin"]) == {"back_translation"} and set(rows["group.age"]) == {"young"}
    text_by_source = pd.concat([rows, rejected]).set_index("source_id")["text"]
    for word, text in zip(("card", "government", "000001", "game", "<b>"), TEXTS, strict=True):
        assert word in text_by_source[table.row_id("test", text)]
    assert metrics["rows"] + metrics["rejected"] == metrics["gold_rows"] == 5
    assert rejected.set_index("source_id")["reason"][table.row_id("test", "000001")] == "identical"


@needs_apertium
def test_texts_that_run_into_each_other_are_translated_one_by_one(tmp_path, monkeypatch):
    expected = [apertium.translate([text], "eng-spa") for text in ("a red house", "a blue house")]
    install_apertium(tmp_path, monkeypatch, '"$REAL" "$@" | grep -v 000000')
    assert [[text] for text in apertium.translate(["a red house", "a blue house"], "eng-spa")] == expected


def test_upgraded_dictionaries_change_the_identity_of_the_engine(tmp_path, monkeypatch):
    install_apertium(tmp_path, monkeypatch, "echo Apertium 1.0")
    modes = tmp_path / "share" / "apertium" / "modes"
    modes.mkdir(parents=True)
    for pair in ("eng-spa", "spa-eng"):
        (tmp_path / f"{pair}.bin").write_bytes(b"words")
        (modes / f"{pair}.mode").write_text(f"lt-proc '{tmp_path / pair}.bin' | lt-proc -g $1 '{tmp_path / pair}.bin'")
    monkeypatch.setattr(apertium, "check_installed", lambda pairs: None)
    before = apertium.Apertium(params()).identity
    assert apertium.Apertium(params()).identity == before
    (tmp_path / "spa-eng.bin").write_bytes(b"more words")
    assert apertium.Apertium(params()).identity != before


def test_a_missing_program_names_what_to_install(tmp_path, monkeypatch):
    write_gold(tmp_path, TEXTS)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="apt-get install apertium-eng-spa"):
        run(params(), Paths(tmp_path))


@needs_apertium
def test_a_missing_direction_names_those_installed(tmp_path):
    write_gold(tmp_path, TEXTS)
    with pytest.raises(UserError, match=r"found no eng-xxx, xxx-eng \(installed: .*eng-spa"):
        run(params(apertium=["eng-xxx", "xxx-eng"]), Paths(tmp_path))
