"""The audit of the rounds, for people: counts, class shares and precision by round and class, and counts by group."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.stage import Metrics, write_atomically
from pipeline.stages.pseudo_label.choice import Choice
from pipeline.stages.pseudo_label.features import Rows
from pipeline.stages.pseudo_label.rounds import Round, SelfTraining


def write_audit(rounds: list[Round], choice: Choice, rows: Rows, labels: list[str], folder: Path) -> None:
    """Fill ``folder`` with rounds.csv, rounds.png, classes.csv, groups.csv and held_out.parquet."""
    held_out = held_out_table(choice, rows.table["id"], labels)
    write_atomically(folder / "held_out.parquet", lambda part: held_out.to_parquet(part, index=False))
    history = rounds_table(rounds, choice, labels)
    write_atomically(folder / "rounds.csv", lambda part: history.to_csv(part, index=False))
    write_atomically(folder / "rounds.png", lambda part: draw_rounds(history, choice.kept_round, part))
    table.write_csv(classes_table(rounds, choice, labels), folder / "classes.csv")
    table.write_csv(
        groups_table(rounds[choice.kept_round], rows.table.iloc[rows.seeds : rows.pool]), folder / "groups.csv"
    )


def rounds_table(rounds: list[Round], choice: Choice, labels: list[str]) -> pd.DataFrame:
    """One row for each round: accepted rows, least confidence, scores on held-out labels, class shares and prior.

    ``drift`` is the total variation distance of the accepted rows' class shares from those of round 1, 0 to 1.
    """
    rows = []
    brier, right = (choice.mean_brier, choice.right) if len(choice.truth) else ([], np.zeros((0, 0)))
    first_shares = class_shares(rounds[1], labels) if len(rounds) > 1 else None
    for number, result in enumerate(rounds):
        shares = class_shares(result, labels)
        has_drift = number and first_shares is not None
        row: dict[str, float | None] = {
            "round": number,
            "accepted": len(result.rows),
            "least_confidence": float(result.confidence.min()) if len(result.rows) else None,
            "held_out_rows": len(choice.truth),
            "precision": float(right[number].mean()) if brier else None,
            "brier": brier[number] if brier else None,
            "drift": float(np.abs(shares - first_shares).sum() / 2) if has_drift else None,
        }
        row |= {f"share.{label}": share for label, share in zip(labels, shares, strict=True)}
        row |= {f"prior.{label}": share for label, share in zip(labels, result.prior, strict=True)}
        rows.append(row)
    return pd.DataFrame(rows).round(6)


def class_shares(result: Round, labels: list[str]) -> np.ndarray:
    """Shares of the classes among the accepted rows, (classes,) float64, 0 to 1; all are 0 without accepted rows."""
    return np.bincount(result.labels, minlength=len(labels)) / max(1, len(result.labels))


def classes_table(rounds: list[Round], choice: Choice, labels: list[str]) -> pd.DataFrame:
    """One row for each round and class: accepted rows, and how many held-out rows got the class, rightly or not."""
    rows = []
    for number, result in enumerate(rounds):
        predicted = choice.logits[number].argmax(axis=1)
        for class_number, label in enumerate(labels):
            called, true = predicted == class_number, choice.truth == class_number
            right = int((called & true).sum())
            rows.append(
                {
                    "round": number,
                    "class": label,
                    "accepted": int((result.labels == class_number).sum()),
                    "prior": round(float(result.prior[class_number]), 6),
                    "held_out_rows": int(true.sum()),
                    "called": int(called.sum()),
                    "right": right,
                    "precision": round(right / called.sum(), 6) if called.any() else None,
                    "recall": round(right / true.sum(), 6) if true.any() else None,
                }
            )
    return pd.DataFrame(rows)


def groups_table(kept: Round, pool: pd.DataFrame) -> pd.DataFrame:
    """One row for each group of the pool: its rows, and how many of them and which share got a pseudo-label.

    ``pool`` has the rows' positions as its index.
    """
    accepted = pool.index.isin(kept.rows)
    rows = [
        {
            "attribute": column.removeprefix(table.GROUP_PREFIX),
            "group": group,
            "pool": len(accepted_in_group),
            "accepted": int(accepted_in_group.sum()),
            "share": round(float(accepted_in_group.mean()), 6),
        }
        for column in table.group_columns(pool)
        for group, accepted_in_group in pd.Series(accepted, index=pool.index).groupby(
            pool[column].fillna(table.UNKNOWN_GROUP)
        )
    ]
    return pd.DataFrame(rows, columns=["attribute", "group", "pool", "accepted", "share"])


def held_out_table(choice: Choice, ids: pd.Series, labels: list[str]) -> pd.DataFrame:
    """Columns ``id``, true ``label``, ``fold`` and ``logit.<label>``: the kept round's logits of each held-out row.

    Rows of one fold were held out together; validation rows are all of fold 0. ``ids`` are those of all rows.
    """
    rows = pd.DataFrame({"id": ids.to_numpy()[choice.held_out], "label": [labels[number] for number in choice.truth]})
    rows["fold"] = choice.fold
    logits = pd.DataFrame(choice.logits[choice.kept_round], columns=[f"logit.{label}" for label in labels])
    return pd.concat([rows, logits], axis=1)


def metrics(
    trained: SelfTraining, choice: Choice, pool: int, accepted: int, doubt: str, ships_teacher: bool
) -> Metrics:
    """Counts, the kept round, how it was chosen, and its precision on held-out labels.

    ``pool`` and ``accepted`` are numbers of pool rows; ``doubt`` is why names say little. ``ships_teacher`` is whether
    the student starts from a teacher of the kind that was evaluated, rather than from one over other vectors.
    """
    result: Metrics = {
        "pool": pool,
        "accepted": accepted,
        "foreign": trained.foreign,
        "round": choice.kept_round,
        "judged_by": choice.decided_by,
        "held_out_rows": len(choice.truth),
        "lead": choice.lead,
        "class_names_heard": choice.lead != "no names",
        "names_doubted": doubt,
        "neighbour_agreement": round(trained.agreement, 4),
        "ships_teacher": ships_teacher,
    }
    if len(choice.truth):
        precision = choice.right.mean(axis=1)
        result["precision_without"] = round(float(precision[0]), 6)
        result["precision"] = round(float(precision[choice.kept_round]), 6)
    return result


def draw_rounds(history: pd.DataFrame, kept: int, path: Path) -> None:
    """Draw accepted rows and precision by round, with the kept round marked, as a PNG file at ``path``."""
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
