"""Several students and one who learns from their mean: distillation of an ensemble (Hinton et al. 2015)."""

import sys
from itertools import combinations
from pathlib import Path

import numpy as np

from pipeline.core.params import Finetune
from pipeline.core.stage import Metrics, Paths, replace
from pipeline.stages.finetune import student
from pipeline.stages.finetune.student import Student, Task
from pipeline.training import trainer

GIVEN = ("gold", "class_name")  # origins whose labels nobody guessed: a row of these keeps its own
SEEDS = 2**32


def distil(task: Task, params: Finetune, folder: Path) -> Student:
    """Train ``params.students`` students, then one on what they say together; its metrics tell of all.

    Each leaves its probabilities in ``folder`` when it is done, so that a killed run goes on with the next.
    """
    alone = params.model_copy(update={"students": 1})
    train, validation = [], []
    for number in range(params.students):
        place = folder / f"student-{number}.safetensors"
        if not place.exists():
            print(f"finetune: student {number + 1} of {params.students}", file=sys.stderr)
            own = alone.model_copy(update={"seed": (params.seed + number) % SEEDS})
            teach(task, own, folder / f"student-{number}", place)
        said = read(place)
        train.append(said["train"])
        validation.append(said["validation"])
    print("finetune: the student of all", file=sys.stderr)
    last = student.learn(task, alone, folder, targets(task, np.mean(train, axis=0)))
    return Student(
        last.net, last.tokenizer, last.history, last.metrics | {"ensemble": measure(task, train, validation)}
    )


def teach(task: Task, params: Finetune, folder: Path, place: Path) -> None:
    """Train one student and write its probabilities for training and validation rows to ``place``."""
    from safetensors.numpy import save_file
    from scipy.special import softmax

    from pipeline.models import network

    # Its curves are its own: those that others follow, data/scratch/finetune/curves.jsonl, are the last student's.
    checkpoints = Paths(folder).scratch("finetune") / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    learned = student.learn(task, params, checkpoints)
    rows = {"train": task.train, "validation": task.validation}
    said = {
        name: softmax(network.logits(learned.net, learned.tokenizer, part["text"].tolist(), params.batch_size), axis=1)
        for name, part in rows.items()
    }
    replace(place, lambda part: save_file(said, part))
    trainer.clear(folder)  # the checkpoints of many students would fill a disk


def read(place: Path) -> dict[str, np.ndarray]:
    """Probabilities of one student, (rows, classes), by split."""
    from safetensors.numpy import load_file

    return load_file(place)


def targets(task: Task, mean: np.ndarray) -> np.ndarray:
    """What the last student learns, (training rows, classes): the ensemble's mean, but a given label as it is."""
    given = task.train["origin"].isin(GIVEN).to_numpy()
    labels = np.eye(mean.shape[1], dtype=np.float32)[task.train["target"].to_numpy()]
    return np.where(given[:, None], labels, mean)


def measure(task: Task, train: list[np.ndarray], validation: list[np.ndarray]) -> Metrics:
    """How often two students agree on training rows, and how often each and all together are right on validation."""
    guesses = [said.argmax(1) for said in train]
    same = [float((one == other).mean()) for one, other in combinations(guesses, 2)]
    found: Metrics = {"agreement": round(float(np.mean(same)), 6)}
    if len(task.validation):
        truth = task.validation["target"].to_numpy()
        right = [float((said.argmax(1) == truth).mean()) for said in (*validation, np.mean(validation, axis=0))]
        found["validation_accuracy"] = round(right.pop(), 6)
        found["students"] = {str(number): round(share, 6) for number, share in enumerate(right)}
    return found
