"""The file classifier.json of a bundle: labels and settings, checked before the model is loaded."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pipeline.core.errors import UserError
from pipeline.core.param_errors import describe_fault
from pipeline.core.printable import printable
from pipeline.models.bundle_files import read_bundle_json

SETTINGS = "classifier.json"
FORMAT = 1  # of bundles; one without the key is of this format, too
Precision = Literal["float32", "bfloat16", "int8"]


class BundleSettings(BaseModel):
    """The keys of classifier.json that loading needs; it has others, which say how the bundle was made."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    format: int = FORMAT
    labels: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    temperature: Annotated[float, Field(gt=0)]
    pad_id: Annotated[int, Field(ge=0)]
    max_length: Annotated[int, Field(ge=1, le=1_000_000)]
    serve: Precision

    @field_validator("labels")
    @classmethod
    def require_distinct(cls, labels: list[str]) -> list[str]:
        """The labels. Raises ValueError if one occurs twice."""
        if len(set(labels)) < len(labels):
            raise ValueError(": expected each label once, found one twice")
        return labels

    @field_validator("format")
    @classmethod
    def require_known_format(cls, number: int) -> int:
        """The format. Raises ValueError for one that this Gleaner does not know."""
        if number != FORMAT:
            raise ValueError(f": expected format {FORMAT}, found {number}; load it with the Gleaner that made it")
        return number


def read_settings(folder: Path) -> BundleSettings:
    """The settings of the bundle in a folder. Raises UserError that names the first key that is wrong."""
    path = folder / SETTINGS
    try:
        return BundleSettings.model_validate(read_bundle_json(path))
    except ValidationError as error:
        fault = error.errors()[0]
        message = str(fault["ctx"]["error"]) if fault["type"] == "value_error" else describe_fault(fault)
        key = ".".join(map(str, fault["loc"]))
        described = f"{key}{message}" if fault["type"] == "value_error" else message
        raise UserError(f"{path}: {printable(described)}; rerun export") from None


def shipped_model(folder: Path) -> str | None:
    """Which candidate the bundle in a folder holds; None for a bundle of before there were several.

    Raises UserError if classifier.json cannot be read.
    """
    name: str | None = read_bundle_json(folder / SETTINGS).get("shipped")
    return name


def recorded_compute(folder: Path) -> dict[str, str]:
    """What computed the vectors and answers of the bundle in a folder; empty for a bundle that does not say.

    Keys are ``vectors`` and ``answers``, runtimes, and ``pool``, ``reported`` and ``served``, precisions. Raises
    UserError if classifier.json cannot be read.
    """
    compute: dict[str, str] = read_bundle_json(folder / SETTINGS).get("compute", {})
    return compute
