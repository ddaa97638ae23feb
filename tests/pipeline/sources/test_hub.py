"""Hugging Face datasets: class numbers become names, a local folder needs no revision, and an error is one line."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.core.errors import UserError
from tests.support.ingesting import ingest, output

HUB = {"source": "huggingface", "url": "raw", "train": ["train"], "test": ["test"]}


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with raw/train.parquet and raw/test.parquet, and an empty cache of datasets."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    classes = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    for name, labels in (("train", [1, 0, -1]), ("test", [0, 1])):
        rows = {"text": [f"{name} text {i}" for i in range(len(labels))], "label": labels}
        (tmp_path / "raw").mkdir(exist_ok=True)
        datasets.Dataset.from_dict(rows, features=classes).to_parquet(tmp_path / "raw" / f"{name}.parquet")
    return tmp_path


def test_a_local_hugging_face_dataset_gives_class_names(dataset: Path) -> None:
    ingest(dataset, **HUB)
    assert output(dataset, "train")["label"].tolist() == ["yes", "no"]
    assert output(dataset, "unlabelled")["text"].tolist() == ["train text 2"]
    assert output(dataset, "test")["label"].tolist() == ["no", "yes"]


def test_a_local_hugging_face_folder_of_csv_works(dataset: Path) -> None:
    for name in ("train", "test"):
        (dataset / "raw" / f"{name}.parquet").unlink()
        pd.DataFrame({"text": [f"{name} a", f"{name} b"], "label": [3, 4]}).to_csv(dataset / "raw" / f"{name}.csv")
    ingest(dataset, **HUB)
    assert output(dataset, "train")["label"].tolist() == ["3", "4"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": ["holdout"]}, 'ingest.test: expected the split "holdout" of raw, found ValueError'),
        ({"url": "nobody/nothing:config"}, "ingest.revision: expected the commit hash of nobody/nothing:config on the"),
        ({"url": "nobody/nothing:config", "revision": "abc"}, "expected the split .* of nobody/nothing:config, found"),
        ({"train": [], "test": [], "columns": {"split": "text"}}, "ingest.train: expected at least one query"),
    ],
)
def test_hugging_face_errors_are_one_line(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, changes: dict, message: str
) -> None:
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=message) as error:
        ingest(dataset, **(HUB | changes))
    assert "\n" not in str(error.value)
