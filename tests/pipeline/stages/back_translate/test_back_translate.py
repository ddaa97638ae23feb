"""Back-translation: alignment, what is rejected, what a kill costs, and Marian models of a few parameters."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import BackTranslate, read_yaml, to_yaml
from pipeline.core.stage import Paths
from pipeline.stages.back_translate import apertium
from pipeline.stages.back_translate.run import reason, run

ROOT = Path(__file__).parents[4]
needs_apertium = pytest.mark.skipif(shutil.which("apertium") is None, reason="apertium is not installed")
TEXTS = [
    "I lost my card yesterday.",
    "The government\n\nannounced new  taxes.",
    "000001",
    "Who won the game?",
    "[brackets] <b>tags</b> ^$ \\ {}",
]


def params(**changes):
    base = {
        "engine": "apertium",
        "apertium": ["eng-spa", "spa-eng"],
        "marian": ["there", "back"],
        "marian_revisions": [],
        "batch_size": 2,
        "max_ratio": 3.0,
        "weight": 0.5,
    }
    return BackTranslate(**(base | changes))


def write_gold(root, texts):
    ids = [table.row_id("test", text) for text in texts]
    rows = table.make(id=ids, source_id=ids, text=texts, label=["a"] * len(texts), origin="gold")
    table.write(rows.assign(**{"group.age": "young"}), Paths(root).data("ingest") / "train.parquet")
    return dict(zip(ids, texts, strict=True))


def written(root):
    folder = Paths(root).data("back_translate")
    return table.read(folder / "train.parquet"), pd.read_parquet(folder / "rejected.parquet")


def install(tmp_path, monkeypatch, script):
    """A program called ``apertium`` that is found first; ``$REAL`` is the installed one."""
    program = tmp_path / "bin" / "apertium"
    program.parent.mkdir()
    program.write_text(f"#!/bin/bash\nREAL={shutil.which('apertium')}\nLOG={tmp_path}/calls\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


@needs_apertium
def test_apertium_keeps_texts_apart_and_rows_whole(tmp_path):
    texts = write_gold(tmp_path, TEXTS)
    metrics = run(params(batch_size=5), Paths(tmp_path))
    rows, rejected = written(tmp_path)
    assert set(rows["source_id"]) | set(rejected["source_id"]) == set(texts)
    assert set(rows["origin"]) == {"back_translation"} and set(rows["group.age"]) == {"young"}
    found = pd.concat([rows, rejected]).set_index("source_id")["text"]
    for word, text in zip(("card", "government", "000001", "game", "<b>"), TEXTS, strict=True):
        assert word in found[table.row_id("test", text)]
    assert metrics["rows"] + metrics["rejected"] == metrics["gold_rows"] == 5
    assert rejected.set_index("source_id")["reason"][table.row_id("test", "000001")] == "identical"


@needs_apertium
def test_texts_that_run_into_each_other_are_translated_one_by_one(tmp_path, monkeypatch):
    expected = [apertium.translate([text], "eng-spa") for text in ("a red house", "a blue house")]
    install(tmp_path, monkeypatch, '"$REAL" "$@" | grep -v 000000')
    assert [[text] for text in apertium.translate(["a red house", "a blue house"], "eng-spa")] == expected


@pytest.mark.slow
@needs_apertium
def test_a_killed_run_translates_nothing_twice(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, '[ "$1" = -u ] && echo "$2" >> "$LOG"; exec "$REAL" "$@"')
    calls = tmp_path / "calls"
    texts = [f"There are {n} messages about my card." for n in range(2, 12)]
    write_gold(tmp_path, texts)
    content = read_yaml(ROOT / "params.yaml")
    content["back_translate"] |= {"engine": "apertium", "apertium": ["eng-spa", "spa-eng"], "batch_size": 2}
    (tmp_path / "params.yaml").write_text(to_yaml(content))

    def start():
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.stages.back_translate"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )

    killed = start()
    while not calls.exists() or len(calls.read_text().split()) < 7:  # in the fourth batch of five
        assert killed.poll() is None
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    before = len(calls.read_text().split())
    assert not (tmp_path / "data" / "back_translate" / "metrics.json").exists()

    assert start().wait() == 0
    metrics = json.loads((tmp_path / "data" / "back_translate" / "metrics.json").read_text())
    assert metrics["gold_rows"] == 10
    assert len(calls.read_text().split()) - before == 2 * 2  # three batches of five were done, there and back
    resumed = written(tmp_path)

    (tmp_path / "unbroken").mkdir()
    write_gold(tmp_path / "unbroken", texts)
    run(params(), Paths(tmp_path / "unbroken"))
    for one, other in zip(resumed, written(tmp_path / "unbroken"), strict=True):
        pd.testing.assert_frame_equal(one, other)


@pytest.mark.parametrize(
    ("original", "translation", "expected"),
    [
        ("My card", " ", "empty"),
        ("My card", "my  CARD", "identical"),
        ("My card", "my card " * 4, "too_long"),
        ("my card " * 4, "My card", "too_short"),
        ("My card", "My cards", None),
    ],
)
def test_useless_translations_are_rejected_with_a_reason(original, translation, expected):
    assert reason(original, translation, 3.0) == expected


def test_no_engine_writes_empty_tables(tmp_path):
    write_gold(tmp_path, TEXTS)
    metrics = run(params(engine="none"), Paths(tmp_path))
    rows, rejected = written(tmp_path)
    assert rows.empty and rejected.empty and "group.age" in rows.columns
    assert metrics["rows"] == metrics["rejected"] == 0


def test_upgraded_dictionaries_make_another_engine(tmp_path, monkeypatch):
    install(tmp_path, monkeypatch, "echo Apertium 1.0")
    modes = tmp_path / "share" / "apertium" / "modes"
    modes.mkdir(parents=True)
    for pair in ("eng-spa", "spa-eng"):
        (tmp_path / f"{pair}.bin").write_bytes(b"words")
        (modes / f"{pair}.mode").write_text(f"lt-proc '{tmp_path / pair}.bin' | lt-proc -g $1 '{tmp_path / pair}.bin'")
    monkeypatch.setattr(apertium, "check", lambda pairs: None)
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


@pytest.fixture(scope="module")
def marian_folder(tmp_path_factory):
    """A Marian model of a few thousand random weights, with a tokenizer of whole words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import MarianConfig, MarianMTModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("marian")
    words = ["</s>", "<unk>", "<pad>", *"i lost my card who won the game yes no".split()]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    layers = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in SIZES.items()}
    config = MarianConfig(
        vocab_size=len(words), d_model=16, pad_token_id=2, eos_token_id=0, decoder_start_token_id=2, **layers
    )
    MarianMTModel(config).save_pretrained(folder)
    return folder


SIZES = {"layers": 1, "attention_heads": 2, "ffn_dim": 16}


@pytest.mark.slow
def test_marian_folders_translate_every_row_and_resume(tmp_path, marian_folder, capfd):
    write_gold(tmp_path, ["i lost my card", "who won", "the game", "yes no yes no yes no"])
    folders = [str(marian_folder)] * 2
    first = run(params(engine="marian", marian=folders), Paths(tmp_path))
    before = written(tmp_path)
    again = run(params(engine="marian", marian=folders), Paths(tmp_path))
    assert first["rows"] + first["rejected"] == 4 and again == first
    assert "4 of 4 texts were translated before" in capfd.readouterr().err
    for one, other in zip(before, written(tmp_path), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_a_hub_model_without_a_revision_is_refused(tmp_path):
    write_gold(tmp_path, TEXTS)
    with pytest.raises(UserError, match=r"marian_revisions: expected 2 commit hashes"):
        run(params(engine="marian", marian=["someone/there", "someone/back"]), Paths(tmp_path))


def test_a_folder_with_pickled_weights_only_is_refused(tmp_path):
    write_gold(tmp_path, TEXTS)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(UserError, match=r"expected config.json and \*.safetensors"):
        run(params(engine="marian", marian=[str(folder)] * 2), Paths(tmp_path))
