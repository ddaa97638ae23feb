"""The stage itself: the tables and the encoder in, the trained classifier out."""

from pathlib import Path

import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Encoder, Finetune, Mitigation
from pipeline.core.stage import Metrics, Paths, read_json, replace
from pipeline.mitigation.group_codes import numbers
from pipeline.mitigation.reweighing import factors
from pipeline.stages.finetune import ensemble, history, student
from pipeline.stages.finetune.penalty import Penalty
from pipeline.stages.finetune.student import Task
from pipeline.training import trainer

SOURCES = ("ingest", "synonyms", "back_translate", "swaps", "pseudo_label")


def run(params: Finetune, encoder: Encoder, mitigation: Mitigation, paths: Paths) -> Metrics:
    """Train from the last checkpoint of this very config, if a kill left one, and write the model."""
    from pipeline.models import network

    labels_file = paths.data("ingest") / "labels.json"
    labels: list[str] = read_json(labels_file)["labels"]
    files = [paths.data(stage) / "train.parquet" for stage in SOURCES]
    validation_file = paths.data("ingest") / "validation.parquet"
    train = pd.concat([labelled(path, labels) for path in files], ignore_index=True)
    if train.empty:
        raise UserError(f"{files[0]}: expected labelled rows with a weight above 0, found none; label some rows")
    penalty = mitigate(train, params, mitigation)
    start = paths.data("pretrain") / "encoder"
    head = paths.data("pseudo_label") / "head.safetensors"
    task = Task(encoder, labels, start, head, train, labelled(validation_file, labels), penalty)
    inputs = [*files, validation_file, labels_file, *sorted(start.glob("*.safetensors")), head]
    code = sorted(Path(__file__).parent.glob("*.py"))
    folder = trainer.checkpoints(
        paths, "finetune", trainer.fingerprint([params, encoder, mitigation], [*inputs, *code])
    )
    learned = ensemble.distil(task, params, folder) if params.students > 1 else student.learn(task, params, folder)
    out = paths.data("finetune")
    replace(out / "model", lambda part: network.save(learned.net, learned.tokenizer, part))
    replace(out / "history.csv", lambda part: learned.history.to_csv(part, index=False))
    replace(out / "history.png", lambda part: history.draw(learned.history, part))
    trainer.clear(folder)
    return learned.metrics | {"rows": train["origin"].value_counts().sort_index().to_dict()}


def mitigate(train: pd.DataFrame, params: Finetune, mitigation: Mitigation) -> Penalty | None:
    """Reweigh the rows in place and return the penalty, as params ask; the probe as it stands learned in pseudo_label.

    Raises UserError where a penalty is asked for and nothing is trained.
    """
    if mitigation.penalty and student.ships_teacher_head(params):
        raise UserError(
            f"mitigation.penalty: expected 0 with finetune.method teacher_head, which takes no step, "
            f"found {mitigation.penalty:g}; set finetune.method to full or another that trains"
        )
    if student.ships_teacher_head(params) or not (mitigation.reweighing or mitigation.penalty):
        return None
    (groups,) = numbers([train], mitigation.attributes)
    if mitigation.reweighing:
        given = train["weight"].to_numpy(float)
        train["weight"] = given * factors(train["target"].to_numpy(), groups, given)
    return Penalty(mitigation.penalty, groups) if mitigation.penalty else None


def labelled(path: Path, labels: list[str]) -> pd.DataFrame:
    """The rows of a table that count, each with its class number as ``target``.

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
