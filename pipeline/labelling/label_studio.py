"""Tasks for Label Studio with the model's guess, and the labelling config that goes with them.

The formats: https://labelstud.io/guide/task_format and https://labelstud.io/guide/predictions.
"""

from typing import Any
from xml.sax.saxutils import quoteattr

from pipeline.core import annotation_fields


def task(text: str, id: str, label: str, score: float, model: str) -> dict[str, Any]:
    """One task: what is shown, the id that comes back with the answer, and the guess of a model."""
    guess = {
        "from_name": annotation_fields.CHOICES,
        "to_name": annotation_fields.TEXT,
        "type": "choices",
        "value": {"choices": [label]},
    }
    return {
        "data": {annotation_fields.TEXT: text, annotation_fields.ID: id},
        "predictions": [{"model_version": model, "score": score, "result": [guess]}],
    }


def config(labels: list[str], descriptions: dict[str, str]) -> str:
    """The labelling config: one choice out of all labels, with their descriptions as hints."""
    return "\n".join(
        [
            "<View>",
            # A text that is a URL is shown and never fetched.
            f'  <Text name="{annotation_fields.TEXT}" value="${annotation_fields.TEXT}" valueType="text"/>',
            f'  <Choices name="{annotation_fields.CHOICES}" toName="{annotation_fields.TEXT}" choice="single" '
            'showInline="true">',
            *(f"    {choice(label, descriptions.get(label))}" for label in labels),
            "  </Choices>",
            "</View>",
            "",
        ]
    )


def choice(label: str, description: str | None) -> str:
    """One label to choose."""
    hint = f" hint={quoteattr(description)}" if description else ""
    return f"<Choice value={quoteattr(label)}{hint}/>"
