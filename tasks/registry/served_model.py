"""The code that loads a registered version: takes a table of texts, returns label and confidence; does not need torch.

MLflow stores this file with the version and runs it when the version is loaded.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from pipeline.core.errors import UserError
from pipeline.models import classifier


class TextClassifier(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined]
    """The model bundle behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        """Check and load the bundle that the version carries."""
        self.model = classifier.load(Path(context.artifacts["bundle"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """``label`` and ``confidence`` (0 to 1) for each row of the column ``text``, in the same order.

        Raises UserError for a cell that is not a text: MLflow puts a list of texts into one cell in some input formats.
        """
        texts = model_input["text"].tolist()
        if wrong := [i for i, text in enumerate(texts) if not isinstance(text, str)]:
            raise UserError(f"text: expected one text a row, found {type(texts[wrong[0]]).__name__} in row {wrong[0]}")
        probabilities = self.model.predict(texts)
        best = probabilities.argmax(axis=1)
        labels = [self.model.labels[i] for i in best]
        return pd.DataFrame({"label": labels, "confidence": probabilities.max(axis=1, initial=0).astype(float)})


mlflow.models.set_model(TextClassifier())
