"""The history of a training by step: a table, its summary as metrics, and a plot."""

from pathlib import Path

import pandas as pd

from pipeline.core.stage import Metrics

COLUMNS = ["step", "loss", "eval_loss", "eval_accuracy", "lr"]


def to_table(curves: list[dict[str, float]]) -> pd.DataFrame:
    """One row a logged step: training loss, validation loss and accuracy, learning rate."""
    return pd.DataFrame(curves, columns=COLUMNS).groupby("step", as_index=False).first()


def summarise(history: pd.DataFrame, validation_rows: int) -> Metrics:
    """The last step and loss, and the best evaluation, whose weights the model has."""
    losses = history["loss"].dropna()
    metrics: Metrics = {"steps": int(history["step"].max()) if len(history) else 0, "validation_rows": validation_rows}
    if len(losses):
        metrics["last_loss"] = round(float(losses.iloc[-1]), 6)
    if validation_rows:
        best = history.sort_values("eval_loss", kind="stable").iloc[0]
        metrics["best_step"] = int(best["step"])
        metrics["best_validation_loss"] = round(float(best["eval_loss"]), 6)
        metrics["best_validation_accuracy"] = round(float(best["eval_accuracy"]), 6)
    return metrics


def draw_losses(history: pd.DataFrame, path: Path) -> None:
    """Write a plot of the training loss by step and, where there is a validation split, of the validation loss."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.5), layout="constrained")
    for column, name in (("loss", "training"), ("eval_loss", "validation")):
        points = history[["step", column]].dropna()
        if len(points):
            axes.plot(points["step"], points[column], marker="o", markersize=3, label=name)
    if axes.lines:
        axes.legend()
    axes.set(xlabel="step", ylabel="loss", title="Fine-tuning" if axes.lines else "Fine-tuning: no steps taken")
    figure.savefig(path, format="png", dpi=120, metadata={"Software": None})
    plt.close(figure)
