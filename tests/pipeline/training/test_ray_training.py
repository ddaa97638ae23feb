"""Ray Train: workers on two nodes of a real cluster train as one process does, even when a node is lost."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Params, to_yaml
from pipeline.core.stage import Paths
from pipeline.stages.pretrain.run import run as pretrain
from pipeline.training.ray_training import count_trainers, share_evenly
from tests.support.finetuning import Rows, finetune_params, model_files, run_finetune, write_inputs
from tests.support.two_nodes import two_nodes
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[3]
RAY = {"engine": "ray", "pretrain_workers": 2, "finetune_workers": 2}
STEADY = {"dropout": 0.0, "batch_size": 4, "gradient_accumulation": 2}  # no draw depends on the worker


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture
def project(tmp_path: Path, rows: Rows, pairs: list[tuple[str, str]]) -> Paths:
    """The tables that pretrain reads."""
    paths = Paths(tmp_path / "local")
    table.write(rows(pairs[:20]), paths.data("ingest") / "train.parquet")
    table.write(
        rows([(text, None) for text, _ in pairs[20:]], "unlabelled"), paths.data("ingest") / "unlabelled.parquet"
    )
    (paths.root / "data" / "identity_terms").symlink_to(ROOT / "data" / "identity_terms")
    return paths


def with_ray(paths: Paths, params: Params, **changes: int) -> Paths:
    """A copy of a project in which two workers train."""
    far = Paths(paths.root.parent / "ray")
    shutil.copytree(paths.root, far.root, symlinks=True)
    content = params.model_dump(mode="json")
    (far.root / "params.yaml").write_text(to_yaml(content | {"compute": content["compute"] | RAY | changes}))
    return far


def losses(paths: Paths, stage: str) -> list[float]:
    """The training loss of each step, as the curves hold it."""
    points = [json.loads(line) for line in (paths.scratch(stage) / "curves.jsonl").read_text().splitlines()]
    steps = {point["step"]: point["loss"] for point in points if "loss" in point}
    assert list(steps) == list(range(1, len(steps) + 1))
    return list(steps.values())


@pytest.mark.slow
@pytest.mark.weekly
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_two_workers_pretrain_as_one_with_doubled_accumulation(cluster, project, params, precision):
    settings = params(
        {"pretrain": STEADY | {"objective": "mlm", "precision": precision, "epochs": 4, "lr": 5e-3, "max_steps": 50}}
    )
    far = with_ray(project, settings)
    expected = pretrain(settings.pretrain, settings.encoder, project)
    metrics = pretrain(settings.pretrain, settings.encoder, far)
    assert metrics["steps"] == expected["steps"] == 50
    tolerance = 1e-4 if precision == "float32" else 0.05
    assert losses(far, "pretrain") == pytest.approx(losses(project, "pretrain"), abs=tolerance)
    assert metrics["held_out_loss_after"] == pytest.approx(expected["held_out_loss_after"], abs=tolerance)
    assert expected["held_out_loss_after"] < expected["held_out_loss_before"]


@pytest.mark.slow
@pytest.mark.weekly
def test_a_lost_node_does_not_end_a_pretraining(cluster, project, params, capfd):
    settings = params(
        {"pretrain": STEADY | {"objective": "mlm", "epochs": 30, "lr": 5e-4, "max_steps": 200, "checkpoint_steps": 10}}
    )
    far = with_ray(project, settings)
    expected = pretrain(settings.pretrain, settings.encoder, project)
    curves = far.scratch("pretrain") / "curves.jsonl"

    def lose_a_node() -> None:
        wait_for(lambda: curves.exists() and len(curves.read_text().splitlines()) > 40, 400)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    loss = Thread(target=lose_a_node)
    loss.start()
    try:
        metrics = pretrain(settings.pretrain, settings.encoder, far)
    finally:
        loss.join()
        cluster.add_node(num_cpus=1)
    assert "lost a worker" in (said := capfd.readouterr().err) and "goes on from step" in said
    assert metrics["steps"] == 200
    assert metrics["held_out_loss_after"] == pytest.approx(expected["held_out_loss_after"], abs=1e-3)
    assert not list(far.scratch("pretrain").glob("*/checkpoint-*"))


@pytest.mark.slow
@pytest.mark.weekly
@pytest.mark.parametrize("changes", [{"method": "full"}, {"method": "adalora", "precision": "bfloat16"}])
def test_two_workers_finetune_as_one(cluster, tmp_path, params, tiny_encoder, rows, pairs, changes):
    near = write_inputs(tmp_path / "local", tiny_encoder, rows, pairs)
    settings = finetune_params(params, **STEADY | changes)
    far = with_ray(near, settings)
    expected, metrics = run_finetune(near, settings), run_finetune(far, settings)
    assert losses(far, "finetune") == pytest.approx(
        losses(near, "finetune"), abs=1e-4 if changes["method"] == "full" else 0.05
    )
    assert metrics.keys() == expected.keys() and metrics["best_step"] == expected["best_step"]
    assert model_files(far).keys() == model_files(near).keys()


@pytest.mark.slow
@pytest.mark.weekly
def test_students_of_an_ensemble_have_the_bytes_of_one_process(cluster, tmp_path, params, tiny_encoder, rows, pairs):
    near = write_inputs(tmp_path / "local", tiny_encoder, rows, pairs)
    settings = finetune_params(params, students=2, epochs=1)
    far = with_ray(near, settings, finetune_workers=1)
    assert run_finetune(far, settings) == run_finetune(near, settings)
    assert model_files(far) == model_files(near)


def test_workers_that_cannot_share_a_step_evenly_are_refused(params):
    settings = params({"compute": RAY, "finetune": {"gradient_accumulation": 3}})
    with pytest.raises(UserError, match=r"compute.finetune_workers: expected a divisor of .*, 3, found 2"):
        count_trainers(settings.compute, 2, settings.finetune, "finetune")
    assert count_trainers(params().compute, 2, settings.finetune, "finetune") == 1  # no cluster
    assert [share_evenly(6, workers) for workers in (1, 2, 4, 5, 8)] == [1, 2, 3, 3, 6]
