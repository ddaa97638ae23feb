"""The outcome of registering. It needs no MLflow to be known."""

from dataclasses import dataclass

from pipeline.policies.limit_changes import LimitChange


@dataclass(frozen=True)
class Registration:
    """The version that holds the bundle after registering."""

    model: str
    number: str
    aliases: tuple[str, ...]
    is_new: bool  # False if a version of the same dvc.lock was there already
    limit_changes: tuple[LimitChange, ...] = ()  # since the version before
