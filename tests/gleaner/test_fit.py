"""`gleaner.fit`: the example of the docs trains a model with a report; a stage's error is one exception."""

import gc
import os
import runpy
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

import gleaner
from gleaner import UserError
from tests.support.documents import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "use-from-python.md"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, in which the stages of temporary projects run this code; `fit` sets the environment."""
    before = dict(os.environ)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)


def temporary_projects(folder: Path) -> list[str]:
    """The names of the projects that `fit` has left in the folder for temporary files."""
    return [path.name for path in folder.glob("gleaner-*")]


@pytest.mark.slow
def test_the_example_of_the_docs(
    folder: Path, pairs: list[tuple[str, str]], tiny_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(text, label if i < 60 else None) for i, (text, label) in enumerate(pairs)]
    pd.DataFrame(rows, columns=["body", "queue"]).to_csv("tickets.csv", index=False)
    (example,) = [block.text for block in blocks(PAGE) if "import fit" in block.text]
    tiny = {
        "encoder": {"source": "path", "name": str(tiny_encoder), "sha256": None, "max_length": 32},
        "synonyms": {"variants": 0},
        "back_translate": {"engine": "none"},
        "evaluate": {"bootstrap": 100},
        "abstain": {"method": "none"},
        "explain": {"bootstrap": 100, "lime_samples": 40, "errors": 3, "sample": 12},
    }
    monkeypatch.setattr(gleaner, "fit", partial(gleaner.fit, params=tiny))
    Path("example.py").write_text(example)
    model = runpy.run_path("example.py").pop("model")
    assert model.labels == ("account", "delivery", "refund") and model.version is None
    assert model.metrics["evaluate"]["test_rows"] == 12 and 0 <= model.metrics["evaluate"]["accuracy"] <= 1
    assert model.report.is_file() and "<iframe" in model._repr_html_()
    assert all(text not in model._repr_html_() for text, _ in pairs)
    (explanation,) = model.explain(["money back"])
    assert explanation[:2] == model.predict(["money back"])[0] and len(explanation.words) == 2
    assert temporary_projects(folder)
    del model
    gc.collect()
    assert not temporary_projects(folder)


def test_a_stages_error_is_one_exception_with_its_line(folder: Path) -> None:
    with pytest.raises(UserError, match=r"^ingest.*: expected .*, found") as raised:
        gleaner.fit(["money back", "parcel late"], ["refund", "refund"])
    assert "\n" not in str(raised.value) and not temporary_projects(folder)
    with pytest.raises(UserError, match=r"finetune\.lrr: expected no such key"):
        gleaner.fit(["money", "parcel"], ["a", "b"], params={"finetune": {"lrr": 1}}, folder="own")
    with pytest.raises(UserError, match="labels: expected a label for each of the 2 texts, found 1"):
        gleaner.fit(["money", "parcel"], ["a"])
    assert not list(folder.iterdir())
