"""Class numbers of Hugging Face datasets become names, alone and in lists, from the hub's format and from Parquet."""

from pathlib import Path

import pytest

from pipeline.sources.class_names import class_names, schema_class_names
from tests.support.ingesting import ingest, output, rejected

NAMES = ["billing", "delivery", "urgent"]
HUB = {"source": "huggingface", "url": "raw", "train": ["train"], "test": ["test"], "columns": {"label": "labels"}}
FILES = {"train": ["train.parquet"], "test": ["test.parquet"], "columns": {"label": "labels"}}


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with raw/train.parquet and raw/test.parquet, whose label is a list of class numbers."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    labels = datasets.Sequence(datasets.ClassLabel(names=NAMES))
    features = datasets.Features({"text": datasets.Value("string"), "labels": labels})
    (tmp_path / "raw").mkdir()
    for name, rows in {"train": [[0], [1], [], [0, 2], [-1]], "test": [[0], [1]]}.items():
        content = {"text": [f"{name} text {i}" for i in range(len(rows))], "labels": rows}
        datasets.Dataset.from_dict(content, features=features).to_parquet(tmp_path / "raw" / f"{name}.parquet")
    return tmp_path


@pytest.mark.parametrize("params", [HUB, FILES])
def test_lists_of_class_numbers_become_names(dataset: Path, params: dict) -> None:
    ingest(dataset, **params)
    assert output(dataset, "train")["label"].tolist() == ["billing", "delivery"]
    assert output(dataset, "unlabelled")["text"].tolist() == ["train text 2", "train text 4"]
    assert [reason for place, reason in rejected(dataset).items() if place.endswith(":4")] == [
        "several labels in one cell"
    ]


def test_names_are_found_in_features_of_all_generations() -> None:
    label = {"names": NAMES, "_type": "ClassLabel"}
    for feature in (label, {"feature": label, "_type": "Sequence"}, {"feature": label, "_type": "List"}, [label]):
        assert class_names(feature) == NAMES
    assert class_names({"dtype": "int64", "_type": "Value"}) is None


@pytest.mark.parametrize(
    "metadata", [None, {}, {b"huggingface": b"{"}, {b"huggingface": b"[]"}, {b"huggingface": b"{}"}]
)
def test_a_schema_without_usable_metadata_names_nothing(metadata: dict | None) -> None:
    assert schema_class_names(metadata) == {}
