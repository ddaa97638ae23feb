"""Fine-tuning: encoder and linear head learn from gold, augmented and pseudo-labelled rows, each by its weight.

    python -m pipeline.finetune

Reads data/ingest/{train,validation}.parquet and labels.json, data/{synonyms,back_translate,pseudo_label}/train.parquet,
data/pseudo_label/head.safetensors and data/pretrain/encoder; writes data/finetune/model/, history.csv, history.png and
metrics.json.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline import supervised, table, trainer
from pipeline.errors import UserError
from pipeline.params import Encoder, Finetune
from pipeline.stage import Metrics, Paths, main, read_json, replace

if TYPE_CHECKING:
    from pipeline.network import Network

SOURCES = ("ingest", "synonyms", "back_translate", "pseudo_label")
HISTORY = ["step", "loss", "eval_loss", "eval_accuracy", "lr"]


def run(params: Finetune, encoder: Encoder, paths: Paths) -> Metrics:
    """Train from the last checkpoint of this very config, if a kill left one, and write the model."""
    from pipeline import network

    labels_file = paths.data("ingest") / "labels.json"
    labels: list[str] = read_json(labels_file)["labels"]
    files = [paths.data(stage) / "train.parquet" for stage in SOURCES]
    validation_file = paths.data("ingest") / "validation.parquet"
    train = pd.concat([labelled(path, labels) for path in files], ignore_index=True)
    validation = labelled(validation_file, labels)
    if train.empty:
        raise UserError(f"{files[0]}: expected labelled rows with a weight above 0, found none; label some rows")
    start = paths.data("pretrain") / "encoder"
    head = paths.data("pseudo_label") / "head.safetensors"
    inputs = [*files, validation_file, labels_file, *sorted(start.glob("*.safetensors")), head]
    key = trainer.fingerprint([params, encoder], [*inputs, Path(__file__)])
    folder = trainer.checkpoints(paths, "finetune", key)
    net, tokenizer = build(params, encoder, labels, start, head)
    history, result = fit(net, tokenizer, train, validation, params, folder)
    out = paths.data("finetune")
    replace(out / "model", lambda part: network.save(net, tokenizer, part))
    replace(out / "history.csv", lambda part: history.to_csv(part, index=False))
    replace(out / "history.png", lambda part: draw(history, part))
    trainer.clear(folder)
    return result | {"rows": train["origin"].value_counts().sort_index().to_dict()}


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


def build(params: Finetune, encoder: Encoder, labels: list[str], start: Path, head: Path) -> tuple["Network", Any]:
    """The network before its first step, its head random (drawn with the seed) or the probe's, and the tokenizer."""
    net, tokenizer = supervised.create(start, labels, encoder, params, frozen=params.method == "head")
    if params.method == "head":
        net.encoder.requires_grad_(False)
    if params.start == "probe":
        load_probe(net, head)
    return net, tokenizer


def load_probe(net: "Network", head: Path) -> None:
    """Give the network's head the weights of the teacher's: ``weight`` (classes, width) and ``bias`` (classes,).

    Raises UserError when there are none or they belong to other labels or another encoder.
    """
    from safetensors.torch import load_file

    if not head.exists():
        raise UserError(f"{head}: expected the output of an earlier stage, found no such file; run `dvc repro`")
    probe = load_file(head)
    expected = {name: tuple(value.shape) for name, value in net.head.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in probe.items()}
    if found != expected:
        raise UserError(
            f"{head}: expected a linear head of {expected}, found {found or 'none'}; "
            "run `dvc repro`, or set finetune.start to random"
        )
    net.head.load_state_dict(probe)


def fit(
    net: "Network", tokenizer: Any, train: pd.DataFrame, validation: pd.DataFrame, params: Finetune, folder: Path
) -> tuple[pd.DataFrame, Metrics]:
    """Train ``net`` in place and leave its best weights in it; return the history by step, and the metrics."""
    ships_probe = params.method == "head" and params.start == "probe"
    curves = supervised.fit(
        net,
        tokenizer,
        train.iloc[:0] if ships_probe else train,
        validation,
        params,
        folder,
        evaluate_steps=params.evaluate_steps,
        patience=params.patience,
    )
    history = pd.DataFrame(curves, columns=HISTORY).groupby("step", as_index=False).first()
    return history, summary(history, len(validation))


def summary(history: pd.DataFrame, validation_rows: int) -> Metrics:
    """What the history says at its end, and at its best evaluation, whose weights are the model's."""
    losses = history["loss"].dropna()
    result: Metrics = {"steps": int(history["step"].max()) if len(history) else 0, "validation_rows": validation_rows}
    if len(losses):
        result["last_loss"] = round(float(losses.iloc[-1]), 6)
    if validation_rows:
        best = history.sort_values("eval_loss", kind="stable").iloc[0]
        result["best_step"] = int(best["step"])
        result["best_validation_loss"] = round(float(best["eval_loss"]), 6)
        result["best_validation_accuracy"] = round(float(best["eval_accuracy"]), 6)
    return result


def draw(history: pd.DataFrame, path: Path) -> None:
    """Loss by step, training's and, where there is a validation split, validation's."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for column, name in (("loss", "training"), ("eval_loss", "validation")):
        known = history[["step", column]].dropna()
        if len(known):
            axes.plot(known["step"], known[column], marker="o", markersize=3, label=name)
    if axes.lines:
        axes.legend()
    axes.set(xlabel="step", ylabel="loss", title="Fine-tuning" if axes.lines else "Fine-tuning: no steps taken")
    figure.savefig(path, format="png", dpi=120, metadata={"Software": None})
    plt.close(figure)


if __name__ == "__main__":
    main(run, "encoder")
