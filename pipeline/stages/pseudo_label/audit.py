"""What the rounds did, for people: counts, class shares and precision by round and class, and who was accepted."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.stage import Metrics, replace
from pipeline.stages.pseudo_label.round_selection import Judgement
from pipeline.stages.pseudo_label.rounds import Round


def write(
    rounds: list[Round], kept: int, judged: Judgement, pool: pd.DataFrame, labels: list[str], folder: Path
) -> None:
    """Fill ``folder`` with rounds.csv, rounds.png, classes.csv and groups.csv."""
    history = by_round(rounds, judged, labels)
    replace(folder / "rounds.csv", lambda part: history.to_csv(part, index=False))
    replace(folder / "rounds.png", lambda part: draw(history, kept, part))
    table.write_csv(by_class(rounds, judged, labels), folder / "classes.csv")
    table.write_csv(by_group(rounds[kept], pool), folder / "groups.csv")


def by_round(rounds: list[Round], judged: Judgement, labels: list[str]) -> pd.DataFrame:
    """One row a round: accepted rows, least confidence, how held-out labels judge it, shares and prior by class.

    ``drift`` is the total variation distance of the accepted rows' class shares from those of round 1: 0 to 1.
    """
    rows = []
    start = shares(rounds[1], labels) if len(rounds) > 1 else None
    for number, result in enumerate(rounds):
        row: dict[str, float | None] = {
            "round": number,
            "accepted": len(result.rows),
            "least_confidence": float(result.confidence.min()) if len(result.rows) else None,
            "held_out_rows": len(judged.truth),
            "precision": judged.right[number] / len(judged.truth) if judged.right else None,
            "brier": float(judged.brier[number]) if judged.right else None,
            "drift": float(np.abs(shares(result, labels) - start).sum() / 2) if number and start is not None else None,
        }
        row |= {f"share.{label}": share for label, share in zip(labels, shares(result, labels), strict=True)}
        row |= {f"prior.{label}": share for label, share in zip(labels, result.prior, strict=True)}
        rows.append(row)
    return pd.DataFrame(rows).round(6)


def shares(result: Round, labels: list[str]) -> np.ndarray:
    """Shares of the classes among the accepted rows, (classes,)."""
    return np.bincount(result.labels, minlength=len(labels)) / max(1, len(result.labels))


def by_class(rounds: list[Round], judged: Judgement, labels: list[str]) -> pd.DataFrame:
    """One row a round and class: accepted rows, and of the held-out ones how many were called so, and rightly."""
    rows = []
    for number, result in enumerate(rounds):
        predicted = judged.predicted[number] if judged.right else judged.truth  # nothing held out: both are empty
        for place, label in enumerate(labels):
            called, true = predicted == place, judged.truth == place
            both = int((called & true).sum())
            rows.append(
                {
                    "round": number,
                    "class": label,
                    "accepted": int((result.labels == place).sum()),
                    "prior": round(float(result.prior[place]), 6),
                    "held_out_rows": int(true.sum()),
                    "called": int(called.sum()),
                    "right": both,
                    "precision": round(both / called.sum(), 6) if called.any() else None,
                    "recall": round(both / true.sum(), 6) if true.any() else None,
                }
            )
    return pd.DataFrame(rows)


def by_group(kept: Round, pool: pd.DataFrame) -> pd.DataFrame:
    """One row a group of the pool: its rows, and how many and which share of them got a pseudo-label."""
    accepted = np.zeros(len(pool), dtype=bool)
    accepted[kept.rows] = True
    rows = [
        {
            "attribute": column.removeprefix(table.GROUP),
            "group": group,
            "pool": len(taken),
            "accepted": int(taken.sum()),
            "share": round(float(taken.mean()), 6),
        }
        for column in table.group_columns(pool)
        for group, taken in pd.Series(accepted, index=pool.index).groupby(pool[column].fillna(table.UNKNOWN))
    ]
    return pd.DataFrame(rows, columns=["attribute", "group", "pool", "accepted", "share"])


def held_out_scores(judged: Judgement, ids: pd.Series, labels: list[str]) -> pd.DataFrame:
    """What a teacher of the kept round that had not seen the row says of it: id, true ``label``, ``logit.<label>``.

    ``ids`` are those of the rows among which ``judged.asked`` holds positions.
    """
    rows = pd.DataFrame({"id": ids.to_numpy()[judged.asked], "label": [labels[number] for number in judged.truth]})
    scores = pd.DataFrame(judged.logits, columns=[f"logit.{label}" for label in labels])
    return pd.concat([rows, scores], axis=1)


def metrics(rounds: list[Round], kept: int, judged: Judgement, pool: int, ships_teacher: bool) -> Metrics:
    """Counts, the round kept and why, and its precision on held-out labels.

    ``ships_teacher``: the student starts from the kind of teacher that was judged, not from one over other vectors.
    """
    held = len(judged.truth)
    result: Metrics = {
        "pool": pool,
        "accepted": len(rounds[kept].rows),
        "round": kept,
        "judged_by": judged.by,
        "held_out_rows": held,
        "temperature": round(judged.belief.temperature, 4),
        "trust": round(judged.belief.trust, 4),
        "words_part": rounds[kept].teacher.part,
        "class_names_heard": judged.names,
        "names_first": judged.belief.names_first,
        "agreement": None if judged.agreement is None else round(judged.agreement, 4),
        "doubted": judged.doubted,
        "ships_teacher": ships_teacher,
    }
    if judged.right:
        result["precision_without"] = round(judged.right[0] / held, 6)
        result["precision"] = round(judged.right[kept] / held, 6)
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
