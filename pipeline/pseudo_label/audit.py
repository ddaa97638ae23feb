"""What the rounds did, for people: a row a round with counts, class shares and precision, and a picture."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.pseudo_label.held_out import Judgement
from pipeline.pseudo_label.rounds import Round
from pipeline.stage import Metrics


def table_of(rounds: list[Round], judged: Judgement, labels: list[str]) -> pd.DataFrame:
    """One row a round: accepted rows, least confidence, right answers on held-out labels, shares and prior by class."""
    rows = []
    for number, result in enumerate(rounds):
        row: dict[str, float | None] = {
            "round": number,
            "accepted": len(result.rows),
            "least_confidence": float(result.confidence.min()) if len(result.rows) else None,
            "held_out_rows": judged.rows,
            "precision": judged.right[number] / judged.rows if judged.right else None,
        }
        counts = np.bincount(result.labels, minlength=len(labels))
        shares = counts / max(1, counts.sum())
        row |= {f"share.{label}": share for label, share in zip(labels, shares, strict=True)}
        row |= {f"prior.{label}": share for label, share in zip(labels, result.prior, strict=True)}
        rows.append(row)
    return pd.DataFrame(rows).round(6)


def metrics(rounds: list[Round], kept: int, judged: Judgement, pool: int) -> Metrics:
    """Counts, the round kept and why, and its precision on held-out labels."""
    result: Metrics = {
        "pool": pool,
        "accepted": len(rounds[kept].rows),
        "round": kept,
        "judged_by": judged.by,
        "held_out_rows": judged.rows,
        "temperature": round(judged.temperature, 4),
    }
    if judged.right:
        result["precision_without"] = round(judged.right[0] / judged.rows, 6)
        result["precision"] = round(judged.right[kept] / judged.rows, 6)
    return result


def draw(history: pd.DataFrame, kept: int, path: Path) -> None:
    """Accepted rows and precision by round, the round that was kept marked."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, left = plt.subplots(figsize=(6, 3.5), layout="constrained")
    left.bar(history["round"], history["accepted"], color="#c9d6df")
    left.set(xlabel="round", ylabel="accepted rows", title=f"Pseudo-labels: round {kept} kept")
    if history["precision"].notna().any():
        right = left.twinx()
        right.plot(history["round"], history["precision"], marker="o", color="#1f4e79")
        right.set(ylabel="precision on held-out labels", ylim=(0, 1.02))
    left.axvline(kept, color="#b03a2e", linestyle="--", linewidth=1)
    figure.savefig(path, format="png", dpi=120, metadata={"Software": None})
    plt.close(figure)
