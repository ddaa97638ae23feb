"""A student whose teacher listened to words: they go all the way with it, and no training touches them."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.core.errors import UserError
from pipeline.core.stage import Paths
from pipeline.models import network
from tests.support.finetuning import Change, Rows, cut, logits, make, run, ways, weights


@pytest.fixture
def project(tmp_path: Path, tiny_encoder: Path, rows: Rows, pairs: list[tuple[str, str]]) -> Paths:
    """The inputs of the stage, its head with a table of words."""
    paths = make(tmp_path, tiny_encoder, rows, pairs)
    _, tokenizer = network.create(tiny_encoder, ["a"], pooling="mean", max_length=8)
    vocabulary = len(tokenizer)
    head = load_file(paths.data("pseudo_label") / "head.safetensors")
    words = {"words": torch.randn(vocabulary, 3), "idf": torch.rand(vocabulary)}
    save_file(head | words, paths.data("pseudo_label") / "head.safetensors")
    return paths


def shipped(paths: Paths) -> dict[str, torch.Tensor]:
    return load_file(paths.data("finetune") / "model" / "head.safetensors")


@pytest.mark.parametrize(
    "changes", [{"method": "teacher_head"}, {"method": "full"}, {"method": "lora"}, {"students": 2}]
)
def test_words_are_shipped_as_they_came_and_count_in_the_answer(
    project: Paths, params: Change, changes: dict[str, object]
) -> None:
    settings = changes if changes.get("method") == "teacher_head" else {"epochs": 1, **changes}
    run(project, ways(params, **settings))
    teacher, student = load_file(project.data("pseudo_label") / "head.safetensors"), shipped(project)
    assert student.keys() == {"weight", "bias", "words", "idf"}
    assert student["words"].equal(teacher["words"])
    assert student["idf"].equal(teacher["idf"])
    model = project.data("finetune") / "model"
    both = logits(model, ["hello refund today", "courier"])
    save_file({name: student[name] for name in ("weight", "bias")}, model / "head.safetensors")
    assert (both - logits(model, ["hello refund today", "courier"])).abs().max() > 0.01


def test_a_training_that_is_cut_off_goes_on_with_its_words(
    project: Paths, params: Change, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ways(params, epochs=2)
    run(project, settings)
    unbroken = weights(project)
    cut(project, settings, monkeypatch, step=6)
    run(project, settings)
    assert weights(project) == unbroken


def test_words_of_other_classes_are_refused(project: Paths, params: Change) -> None:
    head = project.data("pseudo_label") / "head.safetensors"
    save_file(load_file(head) | {"words": torch.zeros(len(load_file(head)["idf"]), 4)}, head)
    with pytest.raises(UserError, match="expected a linear head"):
        run(project, ways(params))
