"""A classifier in Python: it labels texts, and says which words made a label."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gleaner.inputs import string_list
from pipeline.core.errors import UserError
from pipeline.models.answers import UNLIKE_EVERY_CLASS

if TYPE_CHECKING:
    import numpy as np

    from pipeline.models.classifier import Classifier

EXPLAINED_AT_ONCE = 16  # texts
FRAME = '<iframe srcdoc="{}" sandbox style="width: 100%; height: 40em; border: 1px solid #ccc"></iframe>'


class Answer(NamedTuple):
    """The label of a text, None if the model abstains, and how sure it is of the most probable class: 0 to 1."""

    label: str | None
    confidence: float

    @property
    def reason(self) -> str | None:
        """Why there is no label; None where there is one."""
        return UNLIKE_EVERY_CLASS if self.label is None else None


class WordShare(NamedTuple):
    """A word of a text with its place in it, in characters, and its share of all that moved the score, -1 to 1.

    Shares above 0 spoke for the label.
    """

    word: str
    start: int
    end: int
    share: float


class Explanation(NamedTuple):
    """The answer to a text, and its words in their order, with their shares in the score of ``explained_label``.

    That is the most probable label: the given one, unless the model abstains.
    """

    label: str | None
    confidence: float
    words: list[WordShare]
    explained_label: str

    @property
    def reason(self) -> str | None:
        """Why there is no label; None where there is one."""
        return UNLIKE_EVERY_CLASS if self.label is None else None


@dataclass(frozen=True, repr=False, eq=False)
class Model:
    """A classifier; `load` and `fit` make it."""

    folder: Path  # of the bundle
    classifier: "Classifier"
    params: Path  # the params.yaml with the settings of explanations
    version: str | None = None  # the number of a registered version
    report: Path | None = None  # the HTML page of a training
    metrics: dict[str, Any] = field(default_factory=dict)  # of a training: what each stage measured, by stage

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the columns of `predict_proba`."""
        return self.classifier.labels

    def predict(self, texts: Iterable[str], *, abstain: bool = True) -> list[Answer]:
        """Label and confidence of each text, in the order of ``texts``. Raises UserError if these are no strings.

        A model that abstains gives the label None to a text that is unlike every class, unless ``abstain`` is false.
        """
        answers = self.classifier.answers(string_list(texts, "texts"), abstain=abstain)
        return [Answer(answer.label, answer.confidence) for answer in answers]

    def predict_proba(self, texts: Iterable[str]) -> "np.ndarray":
        """Probability of each label for each text, (texts, labels), float32, 0 to 1, calibrated.

        Columns are in the order of ``labels``, and rows sum to 1. Raises UserError if ``texts`` are no strings.
        """
        return self.classifier.predict(string_list(texts, "texts"))

    def explain(self, texts: Iterable[str], *, method: str = "integrated_gradients") -> list[Explanation]:
        """The answer to each text, and each word's share in its most probable label.

        ``method`` is integrated_gradients or rollout, which need torch, or lime. The section explain of params.yaml has
        their settings. Raises UserError for texts that are no strings, and for a method that does not fit the model.
        """
        import numpy as np

        from pipeline import attribution
        from pipeline.attribution.words import word_spans
        from pipeline.commands.explain import settings_with_defaults

        if method not in attribution.METHODS:
            raise UserError(f"method: expected one of {', '.join(attribution.METHODS)}, found {method}; correct it")
        listed, settings = string_list(texts, "texts"), settings_with_defaults(None, None, None, self.params)
        model = attribution.load(self.folder, with_internals=method not in attribution.BLACK_BOX_METHODS)
        explanations = []
        for start in range(0, len(listed), EXPLAINED_AT_ONCE):
            chunk = listed[start : start + EXPLAINED_AT_ONCE]
            answers = model.answers(chunk)
            best = np.array([model.labels.index(answer.best) for answer in answers])
            directions = attribution.score_directions(len(model.labels), best)
            try:
                attributions = attribution.attribute(method, model, chunk, directions, settings)
            except attribution.NotApplicable as reason:
                raise UserError(f"method: expected one that fits this model, found {method}: {reason}") from None
            for text, answer, found in zip(chunk, answers, attributions, strict=True):
                shares = zip(word_spans(text), found.shares(), strict=True)
                words = [WordShare(text[start:end], start, end, float(share)) for (start, end), share in shares]
                explanations.append(Explanation(answer.label, answer.confidence, words, answer.best))
        return explanations

    def __repr__(self) -> str:
        """The labels, and the version or the folder."""
        origin = f"version {self.version}" if self.version else str(self.folder)
        return f"Model({origin}: {', '.join(self.labels)})"

    def _repr_html_(self) -> str | None:
        """The report for a notebook, in the edition that holds no text of a row: notebooks are shared."""
        if self.report is None:
            return None
        page = self.report.with_name("shared.html").read_text(encoding="utf-8")
        return FRAME.format(escape(page, quote=True))
