"""`gleaner explain`: real processes over files and pipes, the output of a terminal, and user errors."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.attribution import Settings
from pipeline.commands.explain import SEED, Request, explain_file, settings_with_defaults
from pipeline.commands.served_bundle import ServedBundle
from pipeline.core.errors import UserError
from pipeline.core.params import load_params
from pipeline.sources.text_format import Choice
from tests.support.explaining import KEYWORDS, SETTINGS, train_planted
from tests.support.word_bundle import build

ROOT = Path(__file__).parents[3]
TEXT = "my refund\x1b[31m \u202ethe =parcel <script>"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(
        tmp_path_factory.mktemp("lime") / "bundle", {"refund": [4, 0], "parcel": [0, 2]}, ["refund", "delivery"]
    )


def gleaner(*arguments: str, stdin: str = "", cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run `gleaner explain` as a process."""
    command = [sys.executable, "-m", "cli", "explain", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=environment, input=stdin, capture_output=True, text=True, check=False)


def explained(bundle: Path, tmp_path: Path, form: str, out: io.StringIO | None = None, method: str = "lime") -> str:
    """What is written for TEXT and for a blank text."""
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join([json.dumps({"text": TEXT}), json.dumps({"text": " "})]))
    out = out or io.StringIO()
    explain_file(Request(str(path), ServedBundle(bundle), method, Choice(), form, SETTINGS), out)
    return out.getvalue()


def test_json_lines_name_each_word_with_its_place_and_share(bundle: Path) -> None:
    done = gleaner("-", "--method", "lime", "--format", "json", "--bundle", str(bundle), stdin="my refund, please\n\n")
    assert (done.returncode, done.stderr) == (0, "standard input: read as plain lines, one text each\n")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["line"], first["label"], first["text"]) == (1, "refund", "my refund, please")
    assert 0.9 < first["confidence"] < 1
    values = first["methods"]["lime"]
    assert [word["word"] for word in values["words"]] == ["my", "refund", ",", "please"]
    assert all(first["text"][word["start"] : word["end"]] == word["word"] for word in values["words"])
    assert max(values["words"], key=lambda word: word["share"])["word"] == "refund"
    assert sum(abs(word["share"]) for word in values["words"]) == pytest.approx(1, abs=1e-4)
    parts = (
        sum(word["attribution"] for word in values["words"]) + values["base"] + values["rest"] + values["unexplained"]
    )
    assert parts == pytest.approx(values["score"], abs=1e-4)
    assert second == {"line": 2, "version": None, "label": None, "confidence": None, "fault": "empty"}


@pytest.mark.slow
def test_the_networks_methods_work_on_what_finetune_leaves(tiny_encoder: Path, tmp_path: Path) -> None:
    model = train_planted(tiny_encoder, tmp_path / "model")
    text = f"hello please {KEYWORDS['delivery']} again today"
    done = gleaner("-", "--method", "all", "--format", "json", "--bundle", str(model), stdin=text)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["label"], list(answer["methods"])) == ("delivery", ["integrated_gradients", "rollout", "lime"])
    for method in ("integrated_gradients", "lime"):
        words = answer["methods"][method]["words"]
        assert max(words, key=lambda word: word["share"])["word"] == KEYWORDS["delivery"]


def test_plain_text_has_no_colours_and_escapes_control_characters(bundle: Path, tmp_path: Path) -> None:
    shown = explained(bundle, tmp_path, "text")
    assert shown.startswith("line 1: refund (")
    assert "\\x1b[31m" in shown and "\\u202e" in shown
    assert not {"\x1b", "\u202e"} & set(shown)
    lines = [line.split() for line in shown.splitlines()]
    assert next(line for line in lines if line[:1] == ["for"])[2] == "refund"
    assert next(line for line in lines if line[:1] == ["against"])[2] == "parcel"
    assert shown.rstrip().endswith("line 2: no label: empty")


def test_a_terminal_gets_colours_but_none_that_a_text_sets(bundle: Path, tmp_path: Path) -> None:
    shown = explained(bundle, tmp_path, "text", Terminal())
    assert "\x1b[30;42mrefund\x1b[0m" in shown
    assert "\x1b[31m" not in shown


def test_the_page_escapes_texts_and_marks_words_with_signs(bundle: Path, tmp_path: Path) -> None:
    html = explained(bundle, tmp_path, "html")
    assert "<script" not in html and "\x1b" not in html
    assert ">refund<sup>+</sup></mark>" in html and ">parcel<sup>−</sup></mark>" in html
    assert "default-src 'none'" in html


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected the weights as safetensors (head.safetensors and encoder/), found none; use --method lime"),
        (["--method", "shap"], "--method: expected one of integrated_gradients, rollout, lime, all, found shap"),
        (["--format", "xml", "--method", "lime"], "--format: expected one of text, json, html, found xml"),
    ],
)
def test_a_user_error_is_one_line(bundle: Path, arguments: list[str], message: str) -> None:
    done = gleaner("-", "--bundle", str(bundle), *arguments, stdin="refund\n")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr and done.stderr.count("\n") == 1


def test_the_input_is_read_as_predict_reads_it(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,body\n1,refund\n")
    with pytest.raises(UserError, match="expected a column text, found the header id, body"):
        explain_file(
            Request(str(path), ServedBundle(bundle), "lime", Choice("csv", "text"), "json", SETTINGS), io.StringIO()
        )


def test_settings_that_are_not_given_come_from_params() -> None:
    defaults = load_params(ROOT / "params.yaml").explain
    settings = settings_with_defaults(None, None, None, ROOT / "params.yaml")
    assert settings == Settings(defaults.steps, defaults.baseline, defaults.lime_samples, SEED)
    settings = settings_with_defaults(7, None, None, ROOT / "params.yaml")
    assert settings == Settings(7, defaults.baseline, defaults.lime_samples, SEED)


def test_params_are_needed_only_where_a_setting_is_not_given(bundle: Path, tmp_path: Path) -> None:
    arguments = ["-", "--method", "lime", "--bundle", str(bundle), "--steps", "4", "--samples", "50"]
    done = gleaner(*arguments, "--baseline", "mask", stdin="refund\n", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    done = gleaner(*arguments, stdin="refund\n", cwd=tmp_path)
    assert done.returncode == 2
    assert "params.yaml" in done.stderr and done.stderr.count("\n") == 1
