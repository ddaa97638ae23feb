"""`gleaner.load`: a bundle labels and explains lists and columns of strings, and refuses everything else."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gleaner import UserError, load
from tests.support.word_bundle import build


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of two labels."""
    return build(tmp_path_factory.mktemp("of") / "bundle", {"money": [5, 0], "parcel": [0, 5]}, ["refund", "delivery"])


def test_a_bundle_labels_and_explains(bundle: Path) -> None:
    model = load(bundle)
    assert (model.labels, model.version, model.report) == (("refund", "delivery"), None, None)
    answers = model.predict(pd.Series(["money please", "parcel"], index=[7, 9]))
    assert [answer.label for answer in answers] == ["refund", "delivery"] and answers[0].confidence > 0.99
    assert list(pd.DataFrame(answers).columns) == ["label", "confidence"]
    probabilities = model.predict_proba(np.array(["money", "what"]))
    assert probabilities.shape == (2, 2) and probabilities[1].tolist() == [0.5, 0.5]
    (explanation,) = model.explain(["money please"], method="lime")
    assert explanation[:2] == answers[0]
    assert [word[:3] for word in explanation.words] == [("money", 0, 5), ("please", 6, 12)]
    assert explanation.words[0].share > abs(explanation.words[1].share)
    assert model.predict([]) == [] and model.explain([], method="lime") == []


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("money", "texts: expected a list of strings, found one; put it into a list"),
        (
            pd.DataFrame({"text": ["money"]}),
            "expected a list of strings, found a DataFrame; give a list, or one column",
        ),
        (pd.Series(["money", float("nan")]), "expected strings, found float at position 1; convert or remove it"),
    ],
)
def test_what_is_no_list_of_strings_is_refused(bundle: Path, texts: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load(bundle).predict(texts)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("models:/demo", "expected models:/NAME@ALIAS, models:/NAME/NUMBER or a folder, found models:/demo"),
        ("models:/demo/3", "project: expected the folder of a project, found"),
        ("nowhere", "nowhere/MANIFEST.json: expected a sealed model bundle, found none"),
    ],
)
def test_what_cannot_be_loaded_is_named(
    model: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        load(model)
    assert not list(tmp_path.iterdir())
