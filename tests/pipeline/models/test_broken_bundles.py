"""Broken and hostile bundles: `gleaner predict` ends with one line and exit code 2, soon, and loads nothing of them."""

import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest

from cli.__main__ import main
from pipeline.core.errors import UserError
from pipeline.models import classifier
from pipeline.models.onnx_file import refuse_external_data
from tests.support import word_bundle
from tests.support.broken_bundles import (
    FILES,
    Spoil,
    add_function,
    add_subgraph,
    bind_socket,
    change_model,
    content,
    cut,
    flip_bit,
    larger_tokenizer,
    link_folder,
    link_outside,
    manifest,
    move_outside,
    rename_input,
    rename_output,
    replace_by_file,
    replace_by_pipe,
    retype_input,
    sealed,
    setting,
    table,
    without,
)

WORDS = {"good": [2.0, 0.0], "bad": [0.0, 2.0]}
DEEP = "[" * 100_000
BROKEN: dict[str, tuple[Spoil, str]] = {
    **{f"no {name}": (without(name), name) for name in FILES},
    **{f"empty {name}": (content(name, ""), name) for name in FILES},
    **{f"half of {name}": (cut(name), name) for name in FILES},
    **{f"a bit of {name} flipped": (flip_bit(name), ".json|model.onnx") for name in FILES[1:]},
    "no folder": (shutil.rmtree, "MANIFEST.json: expected a sealed model bundle, found none"),
    "a file in its place": (replace_by_file, "expected the folder of a model bundle, found a file"),
    "manifest: a list": (content("MANIFEST.json", "[1, 2]"), "expected the SHA-256 of each file"),
    "manifest: numbers": (manifest(x_json=3), "expected the SHA-256 of each file"),
    "manifest: nothing": (content("MANIFEST.json", "{}"), "expected the SHA-256 of each file"),
    "manifest: brackets": (content("MANIFEST.json", DEEP), "expected JSON"),
    "manifest: no UTF-8": (content("MANIFEST.json", b'{"\xff": 1}'), "expected JSON"),
    "manifest: 5,000 digits": (content("MANIFEST.json", f'{{"x": {"9" * 5000}}}'), "expected JSON|SHA-256"),
    "manifest: huge": (lambda folder: os.truncate(folder / "MANIFEST.json", 3_000_000_000), "expected at most"),
    "manifest: path out of it": (manifest(__etc__passwd="0" * 64), "etc/passwd: expected this file"),
    "manifest: escape codes": (manifest(**{"\x1b[2J_json": "0" * 64}), r"\\x1b\[2J"),
    "manifest: a pipe": (replace_by_pipe("MANIFEST.json"), "expected only plain files"),
    "settings: a list": (sealed(content("classifier.json", "[]")), "classifier.json: .*expected"),
    "settings: a pipe": (replace_by_pipe("classifier.json"), "expected only plain files"),
    "settings: unknown format": (setting(format=2), "format: expected format 1, found 2"),
    "labels: none": (setting(labels=[]), "labels: expected at least 1"),
    "labels: missing": (setting(labels=...), "labels: expected a value"),
    "labels: numbers": (setting(labels=[1, 2]), "labels.0: expected a text"),
    "labels: twice the same": (setting(labels=["up", "up"]), "labels: expected each label once"),
    "labels: one too many": (setting(labels=["up", "down", "left"]), "expected 3 logits a text"),
    "labels: escape codes": (setting(labels=["\x1b]0;x\x07", 3]), "labels.1: expected a text"),
    "temperature: NaN": (setting(temperature=float("nan")), "temperature: expected a finite number, found NaN"),
    "temperature: infinite": (setting(temperature=float("inf")), "temperature: expected a finite number"),
    "temperature: zero": (setting(temperature=0), "temperature: expected a number above 0"),
    "temperature: a text": (setting(temperature="1"), "temperature: expected a number"),
    "max_length: below 1": (setting(max_length=-1), "max_length: expected a number of at least 1"),
    "max_length: huge": (setting(max_length=10**18), "max_length: expected a number of at most"),
    "pad_id: no token": (setting(pad_id=10**6), "expected logits for token 1000000, found a model of"),
    "serve: unknown": (setting(serve="../../x"), "serve: expected one of"),
    "serve: not built": (setting(serve="int8"), "model.int8.onnx: expected an int8 model"),
    "tokenizer: no tokenizer": (sealed(content("tokenizer.json", '{"model": 3}')), "expected a tokenizer"),
    "tokenizer: of another model": (sealed(larger_tokenizer), "with tokenizer.json: expected logits"),
    "model: no ONNX": (sealed(content("model.onnx", b"\x80\x04." * 99)), "expected an ONNX model"),
    "model: half, sealed": (sealed(cut("model.onnx")), "expected an ONNX model"),
    "model: other input": (change_model(rename_input), "expected the int64 inputs"),
    "model: input of other type": (change_model(retype_input), "expected"),
    "model: other output": (change_model(rename_output), "expected the float output logits"),
    "model: other width": (table(np.zeros((4, 5))), "expected 2 logits a text"),
    "model: NaN, as from bad offsets": (table([[0, 0], [0, 0], [0, 0], [np.nan, 0]]), "expected finite logits"),
    "model: weights elsewhere": (
        change_model(lambda model: move_outside(model.graph.initializer[0])),
        "expected all weights inside, found table in another file",
    ),
    "model: weights of /etc": (
        change_model(lambda model: move_outside(model.graph.initializer[0], "/etc/hostname")),
        "expected all weights inside",
    ),
    "model: weights of a branch elsewhere": (change_model(add_subgraph), "expected all weights inside, found hidden"),
    "model: weights of a function elsewhere": (change_model(add_function), "expected all weights inside, found hidden"),
    "a pickle": (sealed(lambda folder: (folder / "weights.pkl").write_bytes(b"\x80\x04.")), "never load weights from"),
    "a file too many": (lambda folder: (folder / "more.json").write_text("{}"), "expected only the files in MANIFEST"),
    "a link out of it": (link_outside("model.onnx"), "model.onnx: expected only plain files in a bundle, found a link"),
    "a linked manifest": (link_outside("MANIFEST.json"), "MANIFEST.json: expected only plain files"),
    "a linked folder": (link_folder, "encoder: expected only plain files in a bundle, found a link"),
    "a link to nothing": (lambda folder: (folder / "x.json").symlink_to("nowhere"), "x.json: expected only plain"),
    "a link to itself": (lambda folder: (folder / "x.json").symlink_to("x.json"), "x.json: expected only plain"),
    "a socket": (bind_socket, "x.json: expected only plain files in a bundle, found a pipe, device or socket"),
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return word_bundle.build(tmp_path / "bundle", WORDS, ["up", "down"])


def predict(bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> int:
    """The exit code of `gleaner predict` with a bundle, for one text."""
    (tmp_path / "texts.csv").write_text("text\ngood\n")
    monkeypatch.setattr(sys, "argv", ["gleaner", "predict", str(tmp_path / "texts.csv"), "--bundle", str(bundle)])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(("spoil", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_bundle_is_one_line_and_exit_code_2(
    bundle: Path,
    spoil: Spoil,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    spoil(bundle)
    capfd.readouterr()
    start = time.monotonic()
    assert predict(bundle, monkeypatch, tmp_path) == 2
    assert time.monotonic() - start < 5
    printed = capfd.readouterr()
    assert printed.out == "" and printed.err.startswith("error: ") and printed.err.count("\n") == 1
    assert "\x1b" not in printed.err
    with pytest.raises(UserError, match=message):
        classifier.load(bundle)


def test_there_are_more_than_45_broken_bundles_and_an_intact_one_predicts(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert len(BROKEN) >= 45
    assert predict(bundle, monkeypatch, tmp_path) == 0
    assert "good,up,0.88" in capfd.readouterr().out


def test_weights_in_the_current_directory_are_never_read(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime would read them, because a model from bytes has no folder of its own."""
    (bundle.parent / "secret.bin").write_bytes(np.zeros((4, 2), dtype=np.float32).tobytes())
    monkeypatch.chdir(bundle.parent)
    change_model(lambda model: move_outside(model.graph.initializer[0]))(bundle)
    with pytest.raises(UserError, match="found table in another file"):
        classifier.load(bundle)
    with pytest.raises(UserError, match="found table in another file"):
        refuse_external_data(onnx.load(bundle / "model.onnx", load_external_data=False), bundle / "model.onnx")


def test_links_into_a_dvc_cache_are_no_fault(bundle: Path) -> None:
    """DVC makes them if its cache.type is symlink."""
    cached = bundle.parent / "cache" / "files" / "md5" / "ab" / "cdef"
    cached.parent.mkdir(parents=True)
    (bundle / "model.onnx").rename(cached)
    (bundle / "model.onnx").symlink_to(cached)
    assert classifier.load(bundle).predict(["good"]).argmax() == 0


def test_a_bundle_that_is_replaced_while_it_is_read_is_read_again(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = word_bundle.build(bundle.parent / "other", WORDS, ["left", "right"])
    verify = classifier.verify

    def replace_then_verify(folder: Path) -> None:
        if other.exists():
            shutil.copy(other / "MANIFEST.json", folder)  # the first file of the new bundle
            monkeypatch.setattr(classifier, "verify", replace_rest_then_verify)
        verify(folder)

    def replace_rest_then_verify(folder: Path) -> None:
        shutil.rmtree(folder)
        other.rename(folder)
        monkeypatch.setattr(classifier, "verify", verify)
        verify(folder)

    monkeypatch.setattr(classifier, "verify", replace_then_verify)
    assert classifier.load(bundle).labels == ("left", "right")
