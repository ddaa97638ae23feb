"""Tasks for Label Studio, with a model's prediction or without, and the labelling config for them.

The formats: https://labelstud.io/guide/task_format and https://labelstud.io/guide/predictions.
"""

from typing import Any
from xml.sax.saxutils import quoteattr

from pipeline.core import annotation_fields


def make_task(text: str, id: str) -> dict[str, Any]:
    """One task: the text, and the id that comes back with the answer."""
    return {"data": {annotation_fields.TEXT: text, annotation_fields.ID: id}}


def make_prediction(label: str, score: float, model: str) -> dict[str, Any]:
    """A model's prediction for a task, which Label Studio shows to annotators as the answer to confirm."""
    choice = {
        "from_name": annotation_fields.CHOICES,
        "to_name": annotation_fields.TEXT,
        "type": "choices",
        "value": {"choices": [label]},
    }
    return {"model_version": model, "score": score, "result": [choice]}


def labelling_config(labels: list[str], descriptions: dict[str, str]) -> str:
    """The labelling config as XML: one choice among all labels, with their descriptions as hints."""
    text, choices = annotation_fields.TEXT, annotation_fields.CHOICES
    lines = [
        "<View>",
        f'  <Text name="{text}" value="${text}" valueType="text"/>',  # valueType: a text that is a URL is not fetched
        f'  <Choices name="{choices}" toName="{text}" choice="single" showInline="true">',
        *(f"    {choice_tag(label, descriptions.get(label))}" for label in labels),
        "  </Choices>",
        "</View>",
        "",
    ]
    return "\n".join(lines)


def choice_tag(label: str, description: str | None) -> str:
    """One choice of the labelling config."""
    hint = f" hint={quoteattr(description)}" if description else ""
    return f"<Choice value={quoteattr(label)}{hint}/>"
