"""The code that loads a registered version: takes texts, returns label, confidence and version; does not need torch.

MLflow stores this file with the version and runs it when the version is loaded.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from pipeline.core.errors import UserError
from pipeline.core.yaml_file import read_yaml
from pipeline.models import classifier

META = "registered_model_meta"  # written by MLflow beside MLmodel whenever it fetches a registered version


class TextClassifier(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined]
    """The model bundle behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        """Check and load the bundle that the version carries."""
        bundle = Path(context.artifacts["bundle"])
        self.model = classifier.load(bundle)
        self.version = version_number(bundle.parents[1])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """``label``, ``confidence`` (0 to 1) and ``version`` for each row of the column ``text``, in the same order.

        ``version`` is the number of the registered version; null if the model was loaded by another address. A version
        that abstains adds ``reason``: why the label is null.
        Raises UserError for a cell that is not a text: MLflow puts a list of texts into one cell in some input formats.
        """
        texts = model_input["text"].tolist()
        if wrong := [i for i, text in enumerate(texts) if not isinstance(text, str)]:
            raise UserError(f"text: expected one text a row, found {type(texts[wrong[0]]).__name__} in row {wrong[0]}")
        answers = self.model.answers(texts)
        columns = {
            "label": [answer.label for answer in answers],
            "confidence": [answer.confidence for answer in answers],
        }
        if self.model.abstention is not None:
            columns["reason"] = [answer.reason for answer in answers]
        return pd.DataFrame(columns | {"version": self.version}, index=range(len(answers)))


def version_number(folder: Path) -> str | None:
    """The number of the registered version whose model is in ``folder``; None if it was not fetched as a version."""
    path = folder / META
    return str(read_yaml(path)["model_version"]) if path.is_file() else None


mlflow.models.set_model(TextClassifier())
