"""The JSON of requests and answers, checked strictly; its JSON schema is the API's description."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.serving.errors import ApiError

Text = Annotated[str, Field(min_length=1, pattern=r"\S")]


class Body(BaseModel):
    """A request: no unknown keys, no conversion of types."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PredictBody(Body):
    """Texts to label."""

    texts: Annotated[list[Text], Field(min_length=1)]
    top_k: Annotated[int | None, Field(ge=1, le=1000, description="Also list the most probable labels.")] = None
    abstain: Annotated[
        bool | None, Field(description="Whether texts of no class get none; null: as the version was exported.")
    ] = None


class ExplainBody(Body):
    """Texts to label with reasons."""

    texts: Annotated[list[Text], Field(min_length=1)]


class FeedbackBody(Body):
    """The right label of a text, which is given as such or by the id of its prediction."""

    label: Annotated[str, Field(min_length=1)]
    id: Annotated[str | None, Field(min_length=1, max_length=64, description="Of the prediction.")] = None
    text: Annotated[Text | None, Field(description="The text itself; needed once the service has forgotten it.")] = None
    version: Annotated[
        str | None, Field(pattern=r"^[0-9]{1,18}$", description="The version that answered the text.")
    ] = None


class LabelScore(BaseModel):
    """A label and its calibrated probability."""

    label: str
    confidence: Annotated[float, Field(ge=0, le=1)]


class Prediction(BaseModel):
    """The answer to one text; ``label`` is null if the model abstained, and ``reason`` says why."""

    id: str
    label: str | None
    confidence: Annotated[float, Field(ge=0, le=1)]
    abstained: bool
    reason: str | None
    top: list[LabelScore] | None = None


class PredictAnswer(BaseModel):
    """The answers in the order of the texts, and the version that gave them."""

    version: str | None
    model: str | None
    predictions: list[Prediction]


class WordShare(BaseModel):
    """A word with its place in characters, and its signed share of all that moved the score, -1 to 1."""

    word: str
    start: int
    end: int
    share: float


class Explanation(Prediction):
    """The answer to one text, and its words; ``explained_label`` is the most probable label, whose words they are."""

    explained_label: str
    words: list[WordShare]


class ExplainAnswer(BaseModel):
    """The explained answers in the order of the texts."""

    version: str | None
    model: str | None
    method: str
    explanations: list[Explanation]


class FeedbackAnswer(BaseModel):
    """A correction that is on the disk, for the next night."""

    stored: bool
    label: str
    version: str | None


class LabelsAnswer(BaseModel):
    """The labels that the served version knows."""

    version: str | None
    labels: list[str]


class ModelAnswer(BaseModel):
    """What is served."""

    model: str | None
    version: str | None
    digest: str
    labels: int
    max_tokens: int
    gate: str | None
    verdict: dict[str, Any] | None
    card: str | None


class ErrorDetail(BaseModel):
    """A code for programs, and a line for people that quotes nothing of the request."""

    code: str
    message: str


class ErrorAnswer(BaseModel):
    """Every refusal."""

    error: ErrorDetail


B = TypeVar("B", bound=Body)


def parse(kind: type[B], content: bytes) -> B:
    """A request's body. Raises ApiError, which quotes nothing: 400 for what is no JSON, 422 for what does not fit."""
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        if faults[0]["type"] == "json_invalid":
            raise ApiError(400, "not_json", "expected JSON, found something else") from None
        raise ApiError(422, "invalid", "; ".join(map(describe, faults[:5]))) from None


def describe(fault: Any) -> str:
    """One fault: where it is, and what was expected there."""
    known = [part for part in fault["loc"] if isinstance(part, int) or part in KEYS]
    where = ".".join(map(str, known)) or "the body"
    if fault["type"] == "extra_forbidden":
        return f"{where}: expected no key that is not described, found one"
    if fault["type"] == "string_pattern_mismatch":
        return f"{where}: expected " + ("digits" if "version" in known else "more than white space")
    return f"{where}: {fault['msg'][0].lower()}{fault['msg'][1:]}"


KEYS = {name for kind in (PredictBody, ExplainBody, FeedbackBody) for name in kind.model_fields}
