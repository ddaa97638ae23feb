"""Training by several workers of a Ray cluster: data parallel, under Ray Train's TorchTrainer.

In each step every worker takes its share of the batches whose gradients are accumulated, so that the step is the one
that a single process takes. Checkpoints are those of checkpoints.py, on a disk that all nodes share.
"""

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from pipeline.compute.ray_cluster import (
    RETRIES,
    begin_work,
    connect,
    count_workers,
    find_user_error,
    installed_libraries,
)
from pipeline.core.errors import UserError
from pipeline.core.params import Compute, Training
from pipeline.core.stage import waiting
from pipeline.training import trainer
from pipeline.training.checkpoints import latest_checkpoint

MOST_WAITS = 10  # tries without free room in a training
NOTICE_SECONDS = 10  # in which a cluster has noticed that a node is lost
Build = Callable[[], Any]  # makes the Trainer; it and what it holds are sent to the workers by pickle


def count_trainers(compute: Compute, workers: int, params: Training, section: str) -> int:
    """How many workers train: ``workers``, a value of the section ``compute``, on a cluster; 1 without one.

    Raises UserError if they cannot share the batches of a step evenly.
    """
    if compute.engine != "ray" or workers == 1:
        return 1
    if params.gradient_accumulation % workers:
        raise UserError(
            f"compute.{section}_workers: expected a divisor of {section}.gradient_accumulation, "
            f"{params.gradient_accumulation}, found {workers}; change one of them"
        )
    return workers


def train(
    build: Build, run: Any, params: Training, compute: Compute | None, workers: int, patience: int | None = None
) -> list[dict[str, float]]:
    """Train as `trainer.train` does, on the cluster if ``workers`` is above 1; ``build`` makes Trainers like ``run``.

    Returns the curves. When a worker is lost, those for which there is room go on from the last checkpoint, up to
    `RETRIES` times in a training. Raises UserError if the cluster is too small, and what a worker raises.
    """
    if compute is None or workers == 1:
        return trainer.train(run, patience)
    folder, section = Path(run.args.output_dir), Path(run.args.output_dir).parent.name
    connect(compute)
    require_room(compute, workers, section)
    forget_preparation(run)
    losses, waits = 0, 0
    while True:
        room = share_evenly(params.gradient_accumulation, min(workers, count_workers(compute)))
        work = partial(trainer.take_steps, start=trainer.find_start(folder), patience=patience)
        with waiting(f"{section}: {room} workers"):
            error = run_workers(work, build, room, compute, folder)
        if error is None:
            load_end(run, folder)
            return trainer.curves(run)
        losses, waits = losses + (not isinstance(error, TimeoutError)), waits + isinstance(error, TimeoutError)
        if losses > RETRIES:
            raise error
        if waits > MOST_WAITS:
            raise UserError(
                f"compute.{section}_workers: expected free room for {room} workers, found none in {waits} tries; "
                "end other work on the cluster, or lower it"
            )
        print(f"{section}: lost a worker, or found none ({type(error).__name__})", file=sys.stderr)
        time.sleep(NOTICE_SECONDS)


def forget_preparation(run: Any) -> None:
    """Undo what an evaluation in this process did to the model: with its marks, workers would not train together."""
    run.accelerator.unwrap_model(run.model, keep_fp32_wrapper=False)
    vars(run.model).pop("_is_accelerate_prepared", None)


def require_room(compute: Compute, workers: int, section: str) -> None:
    """Raises UserError if the cluster has no room for so many workers."""
    room = count_workers(compute)
    if room < workers:
        raise UserError(
            f"compute.{section}_workers: expected at most {room}, for which the cluster has room, found {workers}; "
            "lower it, or add nodes"
        )


def share_evenly(batches: int, workers: int) -> int:
    """The largest number of workers, at most ``workers``, that divides ``batches``."""
    return next(count for count in range(workers, 0, -1) if batches % count == 0)


def load_end(run: Any, folder: Path) -> None:
    """Give the Trainer of this process the state that the workers came to, and its model the best or last weights."""
    from safetensors.torch import load_model
    from transformers import TrainerState

    end = latest_checkpoint(folder)
    assert end is not None, "the last step of a training is always saved"
    run.state = TrainerState.load_from_json(str(end / "trainer_state.json"))
    best = f"checkpoint-{run.state.best_global_step}" if run.args.metric_for_best_model else end.name
    load_model(run.model, folder / best / "model.safetensors")


def run_workers(
    work: Callable[[Any], None], build: Build, workers: int, compute: Compute, folder: Path
) -> Exception | None:
    """None after each worker has made its Trainer by ``build`` and done its ``work``; else an error of one of them.

    It is a TimeoutError if the cluster had no room for the workers. Raises the UserError of a worker.
    """
    import ray
    from ray.train import ControllerError, RunConfig, ScalingConfig, WorkerGroupError
    from ray.train.torch import TorchTrainer
    from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError
    from ray.train.v2.api.config import FailureConfig  # ray.train's own has no limit for the controller by its types

    job = TorchTrainer(
        start_worker,
        train_loop_config={
            "build": [ray.put(build)],  # in a list, so that Ray leaves the reference
            "work": work,
            "libraries": installed_libraries(),
        },
        scaling_config=ScalingConfig(num_workers=workers, resources_per_worker={"CPU": compute.cpus_per_worker}),
        run_config=RunConfig(
            name=uuid4().hex,  # a second run of one name would go on from Ray's state of the first
            storage_path=str(folder / "ray"),
            failure_config=FailureConfig(max_failures=0, controller_failure_limit=RETRIES),  # `train` tries again
        ),
    )
    try:
        job.fit()
    except ControllerError as error:
        if isinstance(error.controller_failure, WorkerGroupStartupTimeoutError):
            return TimeoutError("the cluster has no room for the workers yet")
        raise
    except WorkerGroupError as error:
        failures = list(error.worker_failures.values())
        for cause in map(find_user_error, failures):
            if cause is not None:
                raise UserError(str(cause)) from None
        return failures[0]
    return None


def start_worker(config: dict[str, Any]) -> None:
    """What each worker runs: it makes its Trainer and trains; the checkpoints are what it leaves.

    Raises UserError if the worker's libraries are not the driver's.
    """
    import ray
    import torch

    begin_work(config["libraries"])
    run = ray.get(config["build"][0])()
    torch.manual_seed(run.args.seed + run.args.process_index)  # each worker draws a dropout of its own
    config["work"](run)
