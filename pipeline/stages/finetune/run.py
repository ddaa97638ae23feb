"""The stage itself: the tables and the encoder in, the trained classifier out."""

from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.compute.ray_cluster import read_compute
from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Encoder, Finetune, Mitigation
from pipeline.core.stage import Metrics, Paths, read_json, write_atomically
from pipeline.mitigation.group_codes import encode_groups
from pipeline.mitigation.reweighing import weight_factors
from pipeline.stages.finetune import ensemble, history, student, teacher
from pipeline.stages.finetune.penalty import Penalty
from pipeline.stages.finetune.task import Task
from pipeline.training import ray_training
from pipeline.training.checkpoints import checkpoint_folder, fingerprint, remove_checkpoints

SOURCES = ("ingest", "synonyms", "back_translate", "swaps", "pseudo_label")


def run(params: Finetune, encoder: Encoder, mitigation: Mitigation, paths: Paths) -> Metrics:
    """Train and write the model; a run that was killed goes on from its last checkpoint.

    Raises UserError if no row is left to train on.
    """
    labels_file = paths.data("ingest") / "labels.json"
    labels: list[str] = read_json(labels_file)["labels"]
    files = [paths.data(stage) / "train.parquet" for stage in SOURCES]
    validation_file = paths.data("ingest") / "validation.parquet"
    rows = pd.concat([read_labelled(path, labels) for path in files], ignore_index=True)
    if rows.empty:
        raise UserError(f"{files[0]}: expected labelled rows with a weight above 0, found none; label some rows")
    penalty = apply_mitigation(rows, params, mitigation)
    compute = read_compute(paths.root)
    workers = ray_training.count_trainers(compute, compute.finetune_workers, params, "finetune")
    start = paths.data("pretrain") / "encoder"
    heads = paths.data("pseudo_label") / "head.safetensors"
    task = Task(encoder, labels, start, heads, rows, read_labelled(validation_file, labels), penalty, compute, workers)
    out = paths.data("finetune")
    made: teacher.Shipped | student.Student
    if teacher.ships_teacher_head(params):
        made = teacher.ship_teacher(task, out / "model", paths)
    else:
        inputs = [*files, validation_file, labels_file, *sorted(start.glob("*.safetensors")), heads]
        made = train(task, params, checkpoints_of([params, encoder, mitigation], inputs, paths), out / "model")
    write_atomically(out / "history.csv", lambda part: made.history.to_csv(part, index=False))
    write_atomically(out / "history.png", lambda part: history.draw_losses(made.history, part))
    return made.metrics | {"rows": rows["origin"].value_counts().sort_index().to_dict()}


def checkpoints_of(settings: list[Any], inputs: list[Path], paths: Paths) -> Path:
    """The folder of the checkpoints of a training with these settings, input files, and the code of this stage."""
    code = sorted(Path(__file__).parent.glob("*.py"))
    return checkpoint_folder(paths, "finetune", fingerprint(settings, [*inputs, *code]))


def train(task: Task, params: Finetune, checkpoints: Path, model: Path) -> student.Student:
    """Train the student, or the ensemble and its student, and write it to ``model``."""
    from pipeline.models import network

    train_one = ensemble.distil if params.students > 1 else student.train_student
    trained = train_one(task, params, checkpoints)
    unchanged = task.start if student.keeps_encoder(params) else None
    write_atomically(model, lambda part: network.save(trained.net, trained.tokenizer, part, unchanged))
    remove_checkpoints(checkpoints)
    return trained


def apply_mitigation(train: pd.DataFrame, params: Finetune, mitigation: Mitigation) -> Penalty | None:
    """Reweigh the rows in place and return the penalty, as params ask.

    Nothing is done where the student is the teacher's head, which was fitted in pseudo_label. Raises UserError where a
    penalty is asked for and nothing is trained.
    """
    if mitigation.penalty and teacher.ships_teacher_head(params):
        raise UserError(
            f"mitigation.penalty: expected 0 with finetune.method teacher_head, which takes no step, "
            f"found {mitigation.penalty:g}; set finetune.method to full or another that trains"
        )
    if teacher.ships_teacher_head(params) or not (mitigation.reweighing or mitigation.penalty):
        return None
    (groups,) = encode_groups([train], mitigation.attributes)
    if mitigation.reweighing:
        weights = train["weight"].to_numpy(float)
        train["weight"] = weights * weight_factors(train["target"].to_numpy(), groups, weights)
    return Penalty(mitigation.penalty, groups) if mitigation.penalty else None


def read_labelled(path: Path, labels: list[str]) -> pd.DataFrame:
    """The rows of a table with a weight above 0, each with the index of its class as ``target``.

    Raises UserError when a row has no label or one that labels.json does not list.
    """
    rows = table.read(path)
    unknown = ~rows["label"].isin(labels)
    if unknown.any():
        raise UserError(
            f"{path}: expected the labels of labels.json, found {int(unknown.sum())} rows with another or none, "
            f"first id {rows.loc[unknown, 'id'].iloc[0]}; run `dvc repro`"
        )
    rows = rows[rows["weight"] > 0]
    return rows.assign(target=rows["label"].map(labels.index).astype(int))
