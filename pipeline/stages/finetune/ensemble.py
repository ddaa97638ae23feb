"""Several students, and a last one that learns from their mean: distillation of an ensemble (Hinton et al. 2015)."""

import sys
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np

from pipeline.compute.ray_cluster import run_each
from pipeline.core.params import Finetune
from pipeline.core.stage import Metrics, Paths, write_atomically
from pipeline.stages.finetune import student
from pipeline.stages.finetune.student import Student
from pipeline.stages.finetune.task import Task
from pipeline.training.checkpoints import remove_checkpoints

LABELLED_ORIGINS = ("gold", "class_name")  # of rows whose label is no guess: the last student learns it as it is
SEEDS = 2**32


def distil(task: Task, params: Finetune, folder: Path) -> Student:
    """Train ``params.students`` students, then one on the mean of their probabilities; its metrics cover all of them.

    Each student leaves its probabilities in ``folder``, so that a killed run goes on with the next one.
    """
    single = params.model_copy(update={"students": 1})
    train_members(task, single, folder, params.students)
    train, validation = [], []
    for number in range(params.students):
        probabilities = read_probabilities(member_file(folder, number))
        train.append(probabilities["train"])
        validation.append(probabilities["validation"])
    print("finetune: the student of all", file=sys.stderr)
    last = student.train_student(task, single, folder, distillation_targets(task, np.mean(train, axis=0)))
    metrics = last.metrics | {"ensemble": measure_ensemble(task, train, validation)}
    return Student(last.net, last.tokenizer, last.history, metrics)


def member_file(folder: Path, number: int) -> Path:
    """The file of the probabilities of a student of the ensemble."""
    return folder / f"student-{number}.safetensors"


def train_members(task: Task, params: Finetune, folder: Path, count: int) -> None:
    """Train the first ``count`` students, except those that are trained; at once where a cluster has a worker for each.

    Where `compute.finetune_workers` is above 1, one student after the other has all of them.
    """
    numbers = [number for number in range(count) if not member_file(folder, number).exists()]
    if task.compute.engine == "ray" and task.workers == 1 and numbers:
        run_each(partial(train_member, task, params, folder), numbers, task.compute, "finetune: students")
        return
    for number in numbers:
        print(f"finetune: student {number + 1} of {count}", file=sys.stderr)
        train_member(task, params, folder, number)


def train_member(task: Task, params: Finetune, folder: Path, number: int) -> None:
    """Train one student of the ensemble, and write its probabilities for training and validation rows to its file."""
    from safetensors.numpy import save_file
    from scipy.special import softmax

    from pipeline.models import network

    # The member's curves stay in its folder: data/scratch/finetune/curves.jsonl holds those of the last student.
    params = params.model_copy(update={"seed": (params.seed + number) % SEEDS})
    file, folder = member_file(folder, number), folder / f"student-{number}"
    checkpoints = Paths(folder).scratch("finetune") / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    member = student.train_student(task, params, checkpoints)
    texts = {name: rows["text"].tolist() for name, rows in (("train", task.train), ("validation", task.validation))}
    probabilities = {
        name: softmax(network.predict_logits(member.net, member.tokenizer, part, params.batch_size), axis=1)
        for name, part in texts.items()
    }
    write_atomically(file, lambda part: save_file(probabilities, part))
    remove_checkpoints(folder)  # the checkpoints of many students would fill a disk


def read_probabilities(file: Path) -> dict[str, np.ndarray]:
    """Probabilities of one student by split, each (rows, classes), float32, 0 to 1."""
    from safetensors.numpy import load_file

    return load_file(file)


def distillation_targets(task: Task, mean: np.ndarray) -> np.ndarray:
    """The probabilities that the last student learns, (training rows, classes), float32, 0 to 1.

    They are ``mean`` (training rows, classes), float32, that of the ensemble (Hinton et al. 2015); a row whose label is
    no guess has 1 for its label instead.
    """
    labelled = task.train["origin"].isin(LABELLED_ORIGINS).to_numpy()
    labels = np.eye(mean.shape[1], dtype=np.float32)[task.train["target"].to_numpy()]
    return np.where(labelled[:, None], labels, mean)


def measure_ensemble(task: Task, train: list[np.ndarray], validation: list[np.ndarray]) -> Metrics:
    """How often two students agree on training rows, and how often each, and their mean, is right on validation rows.

    ``train`` and ``validation`` hold each student's probabilities, (rows, classes), float32, 0 to 1.
    """
    predictions = [probabilities.argmax(1) for probabilities in train]
    agreements = [float((first == second).mean()) for first, second in combinations(predictions, 2)]
    metrics: Metrics = {"agreement": round(float(np.mean(agreements)), 6)}
    if len(task.validation):
        truth = task.validation["target"].to_numpy()
        with_mean = (*validation, np.mean(validation, axis=0))
        accuracies = [float((probabilities.argmax(1) == truth).mean()) for probabilities in with_mean]
        metrics["validation_accuracy"] = round(accuracies.pop(), 6)
        metrics["students"] = {str(number): round(accuracy, 6) for number, accuracy in enumerate(accuracies)}
    return metrics
