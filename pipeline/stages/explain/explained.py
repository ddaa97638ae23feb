"""The chosen rows explained by every method that can."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline import attribution
from pipeline.attribution import Attribution, Model, NotApplicable, Settings
from pipeline.core.params import Explain
from pipeline.stages.explain import faithfulness


@dataclass(frozen=True)
class Explained:
    """Rows and what each method says of them, in the order of the rows; and which methods cannot, and why.

    The errors are explained as the answer rather than the true label, the sample as the answer against all others.
    """

    errors: pd.DataFrame
    sample: pd.DataFrame
    of_errors: dict[str, list[Attribution]]
    of_sample: dict[str, list[Attribution]]
    refused: dict[str, str]


def explain(model: Model, errors: pd.DataFrame, sample: pd.DataFrame, params: Explain) -> Explained:
    """Run every method of ``params`` on both."""
    settings = Settings(params.steps, params.baseline, params.lime_samples, params.seed)
    directions = np.concatenate(
        [
            attribution.between(len(model.labels), places(model, errors["predicted"]), places(model, errors["label"])),
            attribution.of(len(model.labels), places(model, sample["predicted"])),
        ]
    )
    texts = [*errors["text"], *sample["text"]]
    found: dict[str, list[Attribution]] = {}
    refused: dict[str, str] = {}
    for method in params.methods:
        try:
            found[method] = attribution.attribute(method, model, texts, directions, settings)
        except NotApplicable as why:
            refused[method] = str(why)
    cut = len(errors)
    return Explained(
        errors,
        sample,
        {method: rows[:cut] for method, rows in found.items()},
        {method: rows[cut:] for method, rows in found.items()},
        refused,
    )


def places(model: Model, labels: pd.Series) -> np.ndarray:
    """Where each label stands among the model's."""
    known = {label: place for place, label in enumerate(model.labels)}
    return labels.map(known).to_numpy(int)


def judge(model: Model, found: Explained, params: Explain) -> pd.DataFrame:
    """How faithful each method is on the sample, beside random rankings; see `faithfulness.compare`."""
    texts = found.sample["text"].tolist()
    rankings: dict[str, list[list[np.ndarray]]] = {
        method: [[np.argsort(-one.words, kind="stable")] for one in rows] for method, rows in found.of_sample.items()
    }
    rankings[faithfulness.RANDOM] = faithfulness.random_rankings(texts, params.random_rankings, params.seed)
    answers = places(model, found.sample["predicted"])
    return faithfulness.compare(faithfulness.judge(model, texts, answers, rankings, params.shares), params)


def best_first(judged: pd.DataFrame, trusted: dict[str, bool]) -> list[str]:
    """The methods, those better than chance first, then by comprehensiveness."""
    own = judged[judged["against"].eq("") & judged["measure"].eq("comprehensiveness")].set_index("method")["value"]
    return sorted(trusted, key=lambda method: (not trusted[method], -own[method], method))
