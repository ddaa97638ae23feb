"""What a training did, by step: a table, what it says at its end, and a picture."""

from pathlib import Path

import pandas as pd

from pipeline.core.stage import Metrics

COLUMNS = ["step", "loss", "eval_loss", "eval_accuracy", "lr"]


def table_of(curves: list[dict[str, float]]) -> pd.DataFrame:
    """One row a logged step: training loss, validation loss and accuracy, learning rate."""
    return pd.DataFrame(curves, columns=COLUMNS).groupby("step", as_index=False).first()


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
