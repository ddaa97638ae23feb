"""The chosen rows, explained by every method that can explain this model."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline import attribution
from pipeline.attribution import Attribution, Model, NotApplicable, Settings
from pipeline.core.params import Explain
from pipeline.stages.explain import faithfulness


@dataclass(frozen=True)
class Explanations:
    """Rows with their attributions by method, in the order of the rows.

    For an error, the score is the predicted label's logit less the true label's. For a row of the sample, it is the
    predicted label's logit less the mean of all.
    """

    errors: pd.DataFrame
    sample: pd.DataFrame
    error_attributions: dict[str, list[Attribution]]
    sample_attributions: dict[str, list[Attribution]]
    not_applicable: dict[str, str]  # method -> why it cannot explain this model


def explain_rows(model: Model, errors: pd.DataFrame, sample: pd.DataFrame, params: Explain) -> Explanations:
    """The errors and the sample, explained by every method of ``params`` that can explain the model."""
    settings = Settings(params.steps, params.baseline, params.lime_samples, params.seed)
    classes = len(model.labels)
    predicted, truth = class_indices(model, errors["predicted"]), class_indices(model, errors["label"])
    directions = np.concatenate(
        [
            attribution.contrast_directions(classes, predicted, truth),
            attribution.score_directions(classes, class_indices(model, sample["predicted"])),
        ]
    )
    texts = [*errors["text"], *sample["text"]]
    by_method: dict[str, list[Attribution]] = {}
    not_applicable: dict[str, str] = {}
    for method in params.methods:
        try:
            by_method[method] = attribution.attribute(method, model, texts, directions, settings)
        except NotApplicable as error:
            not_applicable[method] = str(error)
    return Explanations(
        errors,
        sample,
        {method: attributions[: len(errors)] for method, attributions in by_method.items()},
        {method: attributions[len(errors) :] for method, attributions in by_method.items()},
        not_applicable,
    )


def class_indices(model: Model, labels: pd.Series) -> np.ndarray:
    """The index of each label among the model's, (rows,), int64."""
    indices = {label: index for index, label in enumerate(model.labels)}
    return labels.map(indices).to_numpy(int)


def measure_methods(model: Model, explanations: Explanations, params: Explain) -> pd.DataFrame:
    """How faithful each method is on the sample, beside random rankings: the table of `compare_methods`."""
    texts = explanations.sample["text"].tolist()
    rankings: dict[str, list[list[np.ndarray]]] = {
        method: [[np.argsort(-explained.words, kind="stable")] for explained in attributions]
        for method, attributions in explanations.sample_attributions.items()
    }
    rankings[faithfulness.RANDOM] = faithfulness.random_rankings(texts, params.random_rankings, params.seed)
    predicted = class_indices(model, explanations.sample["predicted"])
    measured = faithfulness.measure_faithfulness(model, texts, predicted, rankings, params.shares)
    return faithfulness.compare_methods(measured, params)


def rank_methods(comparison: pd.DataFrame, trusted: dict[str, bool]) -> list[str]:
    """The methods in order: those that are better than chance first, then by comprehensiveness."""
    rows = comparison[comparison["against"].eq("") & comparison["measure"].eq("comprehensiveness")]
    values = rows.set_index("method")["value"]
    return sorted(trusted, key=lambda method: (not trusted[method], -values[method], method))
