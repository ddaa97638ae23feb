"""A student of a teacher with a word head: the word head is shipped with the student, and no training changes it."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.core.errors import UserError
from pipeline.core.stage import Paths
from pipeline.models import network
from tests.support.finetuning import (
    Change,
    Rows,
    finetune_params,
    model_files,
    run_finetune,
    run_until_checkpoint,
    torch_logits,
    write_inputs,
)


@pytest.fixture
def project(tmp_path: Path, tiny_encoder: Path, rows: Rows, pairs: list[tuple[str, str]]) -> Paths:
    """The inputs of the stage, with a word head beside the teacher's linear head."""
    paths = write_inputs(tmp_path, tiny_encoder, rows, pairs)
    _, tokenizer = network.create(tiny_encoder, ["a"], pooling="mean", max_length=8)
    vocabulary = len(tokenizer)
    head = load_file(paths.data("pseudo_label") / "head.safetensors")
    words = {"words": torch.randn(vocabulary, 3), "idf": torch.rand(vocabulary)}
    save_file(head | words, paths.data("pseudo_label") / "head.safetensors")
    return paths


def shipped_heads(paths: Paths) -> dict[str, torch.Tensor]:
    return load_file(paths.data("finetune") / "model" / "head.safetensors")


@pytest.mark.parametrize(
    "changes", [{"method": "teacher_head"}, {"method": "full"}, {"method": "lora"}, {"students": 2}]
)
def test_the_word_head_is_shipped_unchanged_and_counts_in_the_prediction(
    project: Paths, params: Change, changes: dict[str, object]
) -> None:
    settings = changes if changes.get("method") == "teacher_head" else {"epochs": 1, **changes}
    run_finetune(project, finetune_params(params, **settings))
    teacher, student = load_file(project.data("pseudo_label") / "head.safetensors"), shipped_heads(project)
    assert student.keys() == {"weight", "bias", "words", "idf"}
    assert student["words"].equal(teacher["words"])
    assert student["idf"].equal(teacher["idf"])
    model = project.data("finetune") / "model"
    both = torch_logits(model, ["hello refund today", "courier"])
    save_file({name: student[name] for name in ("weight", "bias")}, model / "head.safetensors")
    assert (both - torch_logits(model, ["hello refund today", "courier"])).abs().max() > 0.01


def test_a_killed_training_goes_on_with_its_word_head(
    project: Paths, params: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = finetune_params(params, epochs=2)
    run_finetune(project, settings)
    unbroken = model_files(project)
    run_until_checkpoint(project, settings, monkeypatch, step=6)
    run_finetune(project, settings)
    assert model_files(project) == unbroken


def test_a_word_head_of_other_classes_is_refused(project: Paths, params: Change) -> None:
    head = project.data("pseudo_label") / "head.safetensors"
    save_file(load_file(head) | {"words": torch.zeros(len(load_file(head)["idf"]), 4)}, head)
    with pytest.raises(UserError, match="expected a linear head"):
        run_finetune(project, finetune_params(params))
