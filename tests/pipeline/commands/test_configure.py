"""Overlays: comments stay, a faulty overlay changes nothing, and every example fits."""

import shutil
from pathlib import Path

import pytest

from pipeline.commands.configure import configure, remarks
from pipeline.core.errors import UserError
from pipeline.core.params import load_params

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


@pytest.fixture
def params(tmp_path):
    """A copy of params.yaml with every kind of mapping filled."""
    shutil.copyfile(ROOT / "params.yaml", tmp_path / "params.yaml")
    (tmp_path / "full.yaml").write_text(
        "ingest: {columns: {groups: {customer: customer}}, labels: {rename: {a: b}, drop: [c]}, seed: 3}\n"
    )
    configure(tmp_path / "full.yaml", tmp_path / "params.yaml")
    return tmp_path / "params.yaml"


def overlay(tmp_path, text):
    """A file with this overlay."""
    (tmp_path / "overlay.yaml").write_text(text)
    return tmp_path / "overlay.yaml"


def test_values_change_and_everything_else_stays(tmp_path, params):
    before = params.read_text().splitlines()
    changed = configure(overlay(tmp_path, "finetune: {lr: 1e-5}\nreport: {title: New}\n"), params)
    after = params.read_text().splitlines()
    assert changed == ["finetune.lr", "report.title"]
    assert load_params(params).finetune.lr == 1e-5
    assert sum(old != new for old, new in zip(before, after, strict=True)) == 2
    assert "# mean | cls" in params.read_text()


def test_another_encoder_with_the_digest_of_the_former_one_is_said(tmp_path, params):
    changed = configure(overlay(tmp_path, "encoder: {source: path, name: mine}\n"), params)
    assert remarks(changed, params)[0].startswith("encoder.sha256 is still 53aa51172d14…, the digest of the former")
    assert remarks(configure(overlay(tmp_path, "encoder: {batch_size: 8}\n"), params), params) == []
    changed = configure(overlay(tmp_path, "encoder: {name: other, sha256: null}\n"), params)
    assert remarks(changed, params) == []


def test_the_file_keeps_its_permissions(tmp_path, params):
    params.chmod(0o664)
    configure(overlay(tmp_path, "finetune: {lr: 1e-5}\n"), params)
    assert params.stat().st_mode & 0o777 == 0o664


def test_lists_and_free_form_mappings_are_replaced_whole(tmp_path, params):
    text = "ingest: {columns: {groups: {age: Age}}, labels: {rename: {x: y}, drop: []}, group_bins: {age: [30]}}\n"
    configure(overlay(tmp_path, text), params)
    ingest = load_params(params).ingest
    assert ingest.columns.groups == {"age": "Age"} and ingest.group_bins == {"age": [30]}
    assert ingest.labels.rename == {"x": "y"} and ingest.labels.drop == []
    assert ingest.columns.text == ["text"] and ingest.seed == 3  # what the overlay does not name stays


def test_every_fault_is_named_by_its_path_and_nothing_is_written(tmp_path, params):
    before = params.read_text()
    with pytest.raises(UserError) as error:
        configure(overlay(tmp_path, "ingest: {colums: {}, seed: x}\nfinetun: {}\ngate: 3\n"), params)
    for path in ("ingest.colums:", "ingest.seed:", "finetun:", "gate:"):
        assert any(line.startswith(path) for line in str(error.value).splitlines())
    assert params.read_text() == before


def test_the_data_folder_comes_from_the_option_or_the_environment(tmp_path, params, monkeypatch):
    path = overlay(tmp_path, "ingest: {path: '${GLEANER_DATA}/x', train: ['${GLEANER_DATA}/y']}\n")
    monkeypatch.setenv("GLEANER_DATA", "/from/environment")
    configure(path, params)
    assert load_params(params).ingest.path == "/from/environment/x"
    configure(path, params, data="/from/option")
    assert load_params(params).ingest.path == "/from/option/x" and load_params(params).ingest.train == [
        "/from/option/y"
    ]


def test_an_unset_data_folder_is_named(tmp_path, params, monkeypatch):
    monkeypatch.delenv("GLEANER_DATA", raising=False)
    with pytest.raises(UserError, match="GLEANER_DATA"):
        configure(overlay(tmp_path, "ingest: {path: '${GLEANER_DATA}/x'}\n"), params)


@pytest.mark.parametrize("text", ["", "- a\n", "a: [\n"])
def test_an_overlay_that_is_no_mapping_is_refused(tmp_path, params, text):
    with pytest.raises(UserError, match="overlay.yaml"):
        configure(overlay(tmp_path, text), params)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_fits_params(params, example):
    configure(example, params, data="/data")
    assert load_params(params).ingest.path == f"/data/{example.stem}"


def test_an_example_leaves_nothing_of_another_example(params):
    ingest_of = {}
    fresh = params.read_text()
    for example in EXAMPLES:
        params.write_text(fresh)
        configure(example, params, data="/data")
        ingest_of[example] = load_params(params).ingest
    for example in EXAMPLES:
        configure(example, params, data="/data")
        assert load_params(params).ingest.columns == ingest_of[example].columns
        assert load_params(params).ingest.labels == ingest_of[example].labels
