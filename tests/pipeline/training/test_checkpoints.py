"""Checkpoints: what they are bound to, when they are removed, and which of them a training goes on from."""

import shutil
from pathlib import Path

import pytest
import torch

from pipeline.core.stage import Paths
from pipeline.training import checkpoints, trainer
from tests.support.tiny_training import Change, Line, build, tiny_params


def test_the_fingerprint_changes_with_a_parameter_and_with_an_inputs_content(params: Change, tmp_path: Path) -> None:
    file = tmp_path / "train.parquet"
    file.write_bytes(b"1")
    first = checkpoints.fingerprint([tiny_params(params).pretrain], [file])
    assert checkpoints.fingerprint([tiny_params(params).pretrain], [file]) == first
    assert checkpoints.fingerprint([tiny_params(params, lr=0.2).pretrain], [file]) != first
    file.write_bytes(b"2")
    assert checkpoints.fingerprint([tiny_params(params).pretrain], [file]) != first


def test_the_fingerprint_changes_with_the_code_of_a_training(
    params: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in checkpoints.CODE:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(checkpoints.PIPELINE / name, tmp_path / name)
    first = checkpoints.fingerprint([tiny_params(params).pretrain], [])
    monkeypatch.setattr(checkpoints, "PIPELINE", tmp_path)
    assert checkpoints.fingerprint([tiny_params(params).pretrain], []) == first
    for name in checkpoints.CODE:
        before = (tmp_path / name).read_text()
        (tmp_path / name).write_text(before + "\n")
        assert checkpoints.fingerprint([tiny_params(params).pretrain], []) != first, name
        (tmp_path / name).write_text(before)


def test_checkpoints_of_another_config_are_removed(tmp_path: Path) -> None:
    stale = checkpoints.checkpoint_folder(Paths(tmp_path), "finetune", "a" * 16)
    kept = checkpoints.checkpoint_folder(Paths(tmp_path), "finetune", "b" * 16)
    assert kept.is_dir() and not stale.exists()


@pytest.mark.parametrize("damage", ["cut", "unsealed", "flipped"])
def test_a_broken_last_checkpoint_is_skipped_for_the_one_before(
    params: Change, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "pretrain" / "key"
    unbroken = Line()
    expected = trainer.train(build(tiny_params(params), folder, unbroken))
    last = folder / "checkpoint-30"
    weights = last / "model.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-4])
    elif damage == "flipped":
        weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    else:
        (last / "complete.json").unlink()
    resumed = Line()
    points = trainer.train(build(tiny_params(params), folder, resumed))
    assert "checkpoint-30 was not written to its end" in capsys.readouterr().err
    assert torch.equal(resumed.weight, unbroken.weight)
    assert points == expected
    assert len((tmp_path / "pretrain" / "curves.jsonl").read_text().splitlines()) == len(expected)


@pytest.mark.slow
def test_a_compiled_training_resumes_from_plain_weights(params: Change, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    folder, unbroken, resumed = tmp_path / "pretrain" / "key", Line(), Line()
    points = trainer.train(build(tiny_params(params, compile=True), folder, unbroken))
    assert set(load_file(folder / "checkpoint-28" / "model.safetensors")) == {"weight"}
    shutil.rmtree(folder / "checkpoint-30")
    assert trainer.train(build(tiny_params(params, compile=True), folder, resumed)) == points
    assert torch.equal(resumed.weight, unbroken.weight)
