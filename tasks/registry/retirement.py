"""Versions that nobody may promote any more, because they learned from rows that had to be forgotten."""

from pipeline.core.errors import UserError
from tasks.registry.registered_version import RegisteredVersion
from tasks.registry.store import retry_while_busy
from tasks.registry.version_tags import RETIRED

CHALLENGER = "challenger"


def retire_version(version: RegisteredVersion, reason: str) -> None:
    """Mark a version as retired, and take the alias `challenger` from it."""
    retry_while_busy(lambda: version.set_tags({RETIRED: reason}))
    if CHALLENGER in version.aliases:
        retry_while_busy(lambda: version.client.delete_registered_model_alias(version.model, CHALLENGER))


def is_retired(version: RegisteredVersion) -> bool:
    """Whether the version was retired."""
    return RETIRED in version.tags


def require_in_use(version: RegisteredVersion) -> RegisteredVersion:
    """The version itself. Raises UserError if it was retired."""
    if reason := version.tags.get(RETIRED):
        raise UserError(
            f"{version.title}: expected a version that may serve, found one that was retired: {reason}; "
            "train another one"
        )
    return version
