"""params.yaml is strict: all faults are reported at once, in words, by the path that the user typed."""

import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import UserError
from pipeline.core.params import Params, load_params, read_yaml, to_yaml, validate_params
from pipeline.core.renamed_params import RENAMED

ROOT = Path(__file__).parents[3]


@pytest.fixture
def content() -> Any:
    return read_yaml(ROOT / "params.yaml")


def test_the_projects_own_file_is_valid() -> None:
    assert load_params(ROOT / "params.yaml").finetune.lr > 0


def test_one_name_stands_for_a_list_of_one(content: Any) -> None:
    content["ingest"] |= {"train": "a.csv", "columns": content["ingest"]["columns"] | {"text": "body"}}
    ingest = validate_params(content).ingest
    assert (ingest.train, ingest.columns.text) == (["a.csv"], ["body"])


def test_no_default_hides_in_the_models() -> None:
    def walk(model: Any) -> None:
        for name, field in model.model_fields.items():
            assert field.is_required(), f"{model.__name__}.{name}"
            if hasattr(field.annotation, "model_fields"):
                walk(field.annotation)

    walk(Params)


@pytest.mark.parametrize(
    ("section", "key", "value", "message"),
    [
        ("finetune", "lr", "fast", 'finetune.lr: expected a number, found "fast"'),
        ("finetune", "lr", 0, "finetune.lr: expected a number above 0.0, found 0"),
        ("finetune", "epochs", True, "finetune.epochs: expected a number, found true"),
        ("finetune", "batch_size", 2.5, "finetune.batch_size: expected a whole number, found 2.5"),
        ("finetune", "dropout", 1, "finetune.dropout: expected a number below 1.0, found 1"),
        ("finetune", "start", "warm", "finetune.start: expected one of 'probe' or 'random', found \"warm\""),
        ("finetune", "lrr", 1, "finetune.lrr: expected no such key, found 1; remove it or correct its spelling"),
        ("ingest", "train", 5, "ingest.train: expected a list, found 5"),
        (
            "ingest",
            "labels",
            {"rename": {"x": ""}, "drop": [], "missing": [], "keep": [], "descriptions": {}},
            'ingest.labels.rename.x: expected a text that is not empty, found ""',
        ),
        ("ingest", "mask_pii", "yes", 'ingest.mask_pii: expected true or false, found "yes"'),
        (
            "ingest",
            "presidio",
            {"entities": ["PERSON"], "model": None, "language": "en", "min_score": 0.4},
            "ingest.presidio.entities: expected [] where mask_pii is false, found PERSON; set mask_pii: true",
        ),
        ("encoder", "sha256", "abc", 'encoder.sha256: expected 64 hexadecimal digits (a SHA-256), found "abc"'),
        ("back_translate", "apertium", ["a"], "back_translate.apertium: expected at least 2 entries"),
        ("export", "int8", None, "export.int8: expected true or false, found null"),
    ],
)
def test_a_fault_is_described_in_words(content: Any, section: str, key: str, value: Any, message: str) -> None:
    content[section][key] = value
    with pytest.raises(UserError, match=re.escape(message)):
        validate_params(content)


def test_values_that_contradict_each_other_are_reported(content: Any) -> None:
    content["encoder"]["source"] = "hub"
    content["pretrain"]["from_scratch"] = True
    content["pretrain"]["scratch"]["heads"] = 7
    content["export"] |= {"int8": False, "serve": "int8"}
    with pytest.raises(UserError) as caught:
        validate_params(content)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "encoder.revision",
        "pretrain.scratch.hidden",
        "export.serve",
    ]


def test_the_error_for_a_renamed_key_names_the_new_one(content: Any) -> None:
    content["evaluate"]["baseline_c"] = content["evaluate"].pop("baseline_inverse_l2")
    older = {key: value for key, value in content.pop("promotion").items() if not key.startswith("approval")}
    content["gate"] |= older
    with pytest.raises(UserError) as error:
        validate_params(content)
    lines = str(error.value).splitlines()
    assert (
        "evaluate.baseline_c: renamed to evaluate.baseline_inverse_l2; rename the key, its value means the same"
        in lines
    )
    assert len(lines) == 1 + 9 and all(": renamed to " in line for line in lines)


def test_the_error_for_a_removed_key_says_so(content: Any) -> None:
    content["pseudo_label"] |= {"gold_weight": 5.0, "words": {"mix_weights": [0.5]}}
    with pytest.raises(UserError) as error:
        validate_params(content)
    lines = str(error.value).splitlines()
    assert len(lines) == 2 and all(": removed, remove the key: " in line for line in lines)


def test_every_new_name_of_a_renamed_key_is_a_key(content: Any) -> None:
    for old, new in RENAMED.items():
        section: Any = content
        for key in new.split("."):
            section = section[key]
        assert old != new


def test_the_error_for_the_pair_that_trains_nothing_names_the_new_method(content: Any) -> None:
    content["finetune"] |= {"method": "head", "start": "probe"}
    with pytest.raises(UserError, match=r"^finetune\.method: expected teacher_head .* renamed to finetune\.method"):
        validate_params(content)


def test_all_faults_are_reported_at_once(content: Any) -> None:
    content["finetune"]["lr"] = "fast"
    content["ingest"]["split"]["test"] = 2
    del content["gate"]
    with pytest.raises(UserError) as caught:
        validate_params(content)
    assert len(str(caught.value).splitlines()) == 3


def test_numbers_are_read_as_dvc_reads_them(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("lr: 1e-5\nanswer: no\n")
    assert read_yaml(tmp_path / "params.yaml") == {"lr": 1e-5, "answer": "no"}


def test_broken_yaml_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: 1\nb: [1, 2\nc: 3\n")
    with pytest.raises(UserError, match=r"params.yaml:3: expected valid YAML"):
        load_params(path)


def test_a_missing_file_and_a_file_of_another_shape_are_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected a YAML file, found none"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("- 1\n")
    with pytest.raises(UserError, match="expected a section for each stage"):
        load_params(tmp_path / "params.yaml")


def test_what_is_written_reads_back(content: Any, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(to_yaml(content))
    assert load_params(tmp_path / "params.yaml") == load_params(ROOT / "params.yaml")
