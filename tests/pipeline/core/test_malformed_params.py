"""A params file or an overlay may hold anything: each fault ends within seconds as lines that name it."""

import os
import shutil
import time
from pathlib import Path

import pytest

from pipeline.commands.configure import configure
from pipeline.core.errors import UserError
from pipeline.core.params import load_params
from pipeline.core.yaml_file import MAX_BYTES, read_yaml

ROOT = Path(__file__).parents[3]
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)

# What cannot be read as YAML at all, and what the line says.
UNREADABLE = {
    "brackets": ("a: " + "[" * 20_000, "expected YAML of a few levels"),
    "closed brackets": ("a: " + "[" * 20_000 + "]" * 20_000, "expected YAML of a few levels"),
    "braces": ("{a: " * 20_000, "expected YAML of a few levels"),
    "mixed brackets": ("[{a: [" * 5_000, "expected YAML of a few levels"),
    "lists in lists": ("- " * 5_000, "expected YAML of a few levels"),
    "keys in keys": ("? " * 5_000, "expected YAML of a few levels"),
    "bomb of lists": (BOMB, "aliases that stand for more than"),
    "bomb of mappings": (BOMB.replace("[", "{k: [").replace("]", "]}"), "aliases that stand for more than"),
    "list in itself": ("a: &a [*a]", "an alias inside of what it stands for"),
    "mapping in itself": ("a: &a {b: {c: *a}}", "an alias inside of what it stands for"),
    "5,000 digits": ("a: " + "9" * 5_000, "thousands of digits"),
    "impossible date": ("a: 2026-13-45", "a value that cannot be read"),
    "impossible hour": ("a: 2026-01-01 99:99:99", "a value that cannot be read"),
    "no integer": ("a: !!int x", "a value that cannot be read"),
    "no number": ("a: !!float x", "a value that cannot be read"),
    "no boolean": ("a: !!bool x", "a value that cannot be read"),
    "no timestamp": ("a: !!timestamp x", "expected valid YAML"),
    "no ordered map": ("a: !!omap [x]", "expected valid YAML"),
    "Python object": ("a: !!python/object/apply:os.system [ls]", "expected valid YAML"),
    "unknown tag": ("a: !foo x", "expected valid YAML"),
    "NUL": ("a: \0", "expected valid YAML"),
    "escaped NUL": ('a: "x\\0y"', "a text with '\\x00'"),
    "half a character": ('a: "\\ud800"', "a text with '\\ud800'"),
    "half a character as key": ('"\\udfff": 1', "a text with '\\udfff'"),
    "list as key": ("? [a]\n: 1", "a list or mapping as key"),
    "mapping as key": ("? {a: 1}\n: 1", "unhashable key"),
    "same key twice": ("a: 1\na: 2", "expected valid YAML"),
    "two documents": ("a: 1\n---\na: 2", "expected valid YAML"),
    "tab": ("a:\n\t- b", ":2: expected valid YAML"),
    "open quote": ('a: "b', "expected valid YAML"),
    "open bracket": ("a: [1, 2\nb: 3", "expected valid YAML"),
    "alias of nothing": ("a: *b", "expected valid YAML"),
    "merge of a number": ("a: {<<: 3}", "expected valid YAML"),
    "future version": ("%YAML 9.9\n---\na: 1", "expected valid YAML"),
    "colons": ("a: " + ": " * 20_000, "expected valid YAML"),
    "too large": ("a: 1\n" + "# x\n" * (MAX_BYTES // 4), "expected at most"),
}

# YAML that is no params file, and how a line of the message begins.
WRONG = {
    "empty": ("", "expected a section for each stage"),
    "text": ("hello", "expected a section for each stage"),
    "list": ("- 1", "expected a section for each stage"),
    "unknown section": ("ingst: {seed: 0}", "ingst: expected no such key"),
    "section is null": ("ingest: null", "ingest: expected a mapping of keys, found null"),
    "section is a list": ("ingest: []", "ingest: expected a mapping of keys, found []"),
    "section of a number": ("1: {}", "params.yaml: expected a text as key, found 1; put it in quotes"),
    "control characters in a key": ('ingest: {"\\e[31mred": 1}', 'ingest."\\u001b[31mred": expected no such key'),
    "key of null": ("ingest: {null: 1}", "ingest: expected a text as key, found null"),
    "infinity": ("finetune: {lr: .inf}", "finetune.lr: expected a finite number, found Infinity"),
    "overflow": ("finetune: {lr: 1e999}", "finetune.lr: expected a finite number"),
    "not a number": ("gate: {min_accuracy: .nan}", "gate.min_accuracy: expected a"),
    "number in quotes": ("finetune: {lr: '1e-5'}", 'finetune.lr: expected a number, found "1e-5"'),
    "negative count": ("finetune: {batch_size: -1}", "finetune.batch_size: expected a number of at least 1"),
    "count beyond memory": (
        "finetune: {batch_size: 99999999999999999999}",
        "finetune.batch_size: expected a number of",
    ),
    "resamples without end": ("evaluate: {bootstrap: 1000000000}", "evaluate.bootstrap: expected a number of at most"),
    "label that is a number": (
        "ingest: {labels: {rename: {1: good}}}",
        "ingest.labels.rename: expected a text as key, found 1; put it in quotes",
    ),
    "label that is a boolean": (
        "ingest: {labels: {rename: {a: true}}}",
        "ingest.labels.rename.a: expected a text, found true; put it in quotes",
    ),
    "title that is a date": ("report: {title: 2026-01-01}", "report.title: expected a text, found 2026-01-01; put it"),
    "title of bytes": ("report: {title: !!binary aGk=}", "report.title: expected a text"),
    "title that is a set": ("report: {title: !!set {a}}", "report.title: expected a text"),
    "empty title": ("report: {title: ''}", "report.title: expected a text that is not empty"),
    "list of nothing": ("ingest: {train: [null]}", "ingest.train.0: expected a text, found null"),
    "slash in a model": ("registry: {model: team/spam}", "registry.model: expected a name of letters"),
    "colon in a model": ("registry: {model: 'spam:1'}", "registry.model: expected a name of letters"),
    "blank model": ("registry: {model: ' '}", "registry.model: expected a name of letters"),
    "line break in a model": ('registry: {model: "a\\nb"}', "registry.model: expected a name of letters"),
    "experiment outside": ("registry: {experiment: ../../x}", "registry.experiment: expected a name of letters"),
    "experiment at the root": ("registry: {experiment: /tmp}", "registry.experiment: expected a name of letters"),
    "experiment without end": (f"registry: {{experiment: {'x' * 500}}}", "registry.experiment: expected a name of"),
    "permutations without end": ("drift: {permutations: 10000000000}", "drift.permutations: expected a number of"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_yaml_that_cannot_be_read_is_one_line(case: str, tmp_path: Path) -> None:
    text, message = UNREADABLE[case]
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    start = time.monotonic()
    with pytest.raises(UserError) as caught:
        load_params(path)
    assert time.monotonic() - start < 5
    line = str(caught.value)
    assert message in line and line.startswith(str(path)) and "\n" not in line and len(line) < 400


@pytest.mark.parametrize("case", WRONG)
def test_an_overlay_of_another_shape_changes_nothing(case: str, tmp_path: Path) -> None:
    text, message = WRONG[case]
    params, overlay = tmp_path / "params.yaml", tmp_path / "mine.yaml"
    shutil.copyfile(ROOT / "params.yaml", params)
    overlay.write_text(text, encoding="utf-8")
    before = params.read_bytes()
    with pytest.raises(UserError) as caught:
        configure(overlay, params)
    lines = str(caught.value).splitlines()
    assert any(message in line for line in lines) and all(line.isprintable() for line in lines)
    assert params.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "mine.yaml",
        "params.yaml",
    ]


@pytest.mark.parametrize("case", ["folder", "pipe", "dangling link", "device", "UTF-16"])
def test_a_path_that_is_no_text_file_is_one_line(case: str, tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    if case == "folder":
        path.mkdir()
    elif case == "pipe":
        os.mkfifo(path)
    elif case == "UTF-16":
        path.write_text("a: 1", encoding="utf-16")
    else:
        path.symlink_to("/dev/zero" if case == "device" else tmp_path / "gone")
    with pytest.raises(UserError, match="params.yaml: expected a (YAML|readable)"):
        read_yaml(path)


def test_aliases_that_an_honest_file_uses_are_read(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: &a {lr: 1e-5}\nb: *a\nc: {<<: *a, seed: 1}\n")
    assert read_yaml(path) == {"a": {"lr": 1e-5}, "b": {"lr": 1e-5}, "c": {"lr": 1e-5, "seed": 1}}
