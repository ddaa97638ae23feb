"""The generated reference pages are current, and hold what they should."""

import re
from pathlib import Path
from typing import get_args

import pytest

from docs.generate.__main__ import main, pages
from docs.generate.commands_page import commands_page
from docs.generate.params_page import params_page
from flows.outcomes.night import Result
from pipeline.core.params import Params, read_yaml

ROOT = Path(__file__).parents[2]


def test_the_pages_are_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().out


def test_the_pages_are_the_same_every_time() -> None:
    assert pages() == pages()


def test_a_page_that_is_not_current_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("docs.generate.__main__.pages", lambda: {Path("docs/reference/params.md"): "old"})
    assert main(["--check"]) == 1
    assert capsys.readouterr().out == "docs/reference/params.md is not current; run `make docs`\n"


def test_the_page_on_failures_has_the_exit_codes_of_the_commands_page() -> None:
    start = "| code | meaning |"
    tables = [
        page[page.index(start) :].split("\n\n")[0]
        for page in (commands_page(), (ROOT / "docs" / "how-to" / "fix-a-failure.md").read_text())
    ]
    assert tables[0] == tables[1] and tables[0].count("\n") == 5


def test_the_chart_of_a_night_has_every_outcome_that_is_no_failure() -> None:
    chart = (ROOT / "docs" / "concepts" / "nights.md").read_text().split("```")[1]
    ends = re.findall(r"^ *(\w+) --> close", chart, re.MULTILINE)
    assert sorted([*ends, "failed"]) == sorted(get_args(Result))


def test_the_params_page_has_every_key_with_values_and_a_section_for_each_stage() -> None:
    page = params_page(ROOT)
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == list(Params.model_fields)
    for section, values in read_yaml(ROOT / "params.yaml").items():
        assert all(f"`{section}.{key}" in page for key in values)
    assert "| `finetune.lr` | `2e-5` | number, above 0 |" in page
    assert "| `ingest.columns.groups` | `{customer: customer}` | mapping to texts |" in page
    assert "| `gate.min_gain_over_probe` | `0.0` | number from -1 to 1 or null |" in page
    assert "| `export.serve` | `float32` | `float32`, `bfloat16`, `int8` |" in page
    assert "| `encoder.sha256` | `53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db` | 64 hexa" in page


def test_the_commands_page_has_options_with_their_limits_and_no_hidden_one() -> None:
    page = commands_page()
    assert "gleaner simulate [OPTIONS]\n" in page and "| `--days` | whole number from 14 to 60 | `30` |" in page
    assert "gleaner explain-version [OPTIONS] [N]\n" in page
    assert "--now" not in page
