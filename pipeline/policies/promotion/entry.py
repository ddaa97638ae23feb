"""An entry of the promotion log, and whether a registered version is the one that an entry is about.

The fields of `Entry` and `VerdictRecord` are the keys of an entry as it is stored, except for those in `STORED_NAMES`.
Entries that were written before must stay readable, so that a new field has a default.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from pipeline.policies.promotion.verdict import PromotionStatus

Action = Literal[
    "initial",
    "adopted",
    "promote",
    "refuse",
    "insufficient",
    "rollback",
    "removed",
    "awaiting approval",
    "approve",
    "reject",
]
CHAMPION_ACTIONS = ("initial", "adopted", "promote", "rollback", "approve")  # they name a new champion
AWAITING: Action = "awaiting approval"
STORED_NAMES = {"verdict": "judged"}  # field of Entry: its key in a stored entry


@dataclass(frozen=True)
class VersionIdentity:
    """What tells a registered version from another one of the same number, which MLflow gives again after a deletion.

    ``manifest`` is the SHA-256 of its bundle's manifest; None if the version was registered without it.
    """

    number: str
    run: str  # the id of the MLflow run that made it
    manifest: str | None
    registered: datetime


@dataclass(frozen=True)
class VerdictRecord:
    """What an entry records of a verdict; ``key`` is the same for the same pair, rows and params."""

    key: str
    status: PromotionStatus
    artifact: str  # of the challenger's run: the whole verdict
    rows: str  # digest of the test rows
    sketch: tuple[str, ...]
    same_rows: float  # promotion.same_test_rows
    judgement: int  # this one is the k-th on the test rows
    after: int  # number of the last judgement that it knew of, 0: none
    metric: str
    champion_score: float
    challenger_score: float
    low: float
    margin: float
    again: int | None = None  # number of the entry whose stored verdict this one repeats; None: a new judgement


@dataclass(frozen=True)
class Entry:
    """One entry; ``version`` is the challenger of the verdict, or the version that becomes or was champion.

    ``run`` and ``manifest`` identify the version, and ``expected_run`` the champion that was expected. They are None
    in entries of a Gleaner that did not record them.
    """

    number: int
    at: datetime  # UTC, by the clock of the store
    action: Action
    version: str
    expected: str | None  # the champion that it was decided against; None: none
    reason: str
    by: str
    flow_run: str
    attempt: str  # unique to the attempt, so that an entry that was sent twice counts once
    verdict: VerdictRecord | None = None
    intact: bool = True  # its content has the digest that it was written with
    run: str | None = None
    manifest: str | None = None
    expected_run: str | None = None
    request: int | None = None  # of an approval or a rejection: number of the entry that waited for it
    approval_days: Annotated[float, Field(ge=0, le=3650)] | None = None  # how long an entry may wait for approval
    page: str | None = None  # of an entry that waits: artifact of the version's run to read before approving

    @property
    def is_judgement(self) -> bool:
        """Whether it uses up the test set: a verdict that repeats no earlier one."""
        return self.verdict is not None and self.verdict.again is None

    @property
    def deadline(self) -> datetime:
        """Until when an entry that waits for approval may be approved."""
        return self.at + timedelta(days=self.approval_days or 0)

    def is_about(self, version: VersionIdentity) -> bool:
        """Whether the entry is about this registered version, and not about another one that had the same number.

        An entry without a run id is about a version that was registered before the entry was written.
        """
        if self.version != version.number:
            return False
        if self.run is None:
            return version.registered <= self.at
        return self.run == version.run and (
            self.manifest is None or version.manifest is None or self.manifest == version.manifest
        )

    def has_version_of(self, other: "Entry") -> bool:
        """Whether both entries are about the same version, as far as they recorded which one it was."""
        return self.version == other.version and (self.run is None or other.run is None or self.run == other.run)


def entry_to_json(entry: Entry) -> dict[str, Any]:
    """The content of an entry under its stored names."""
    return {STORED_NAMES.get(name, name): value for name, value in asdict(entry).items()}


def entry_from_json(content: dict[str, Any]) -> Entry:
    """The entry of a content under its stored names. Raises pydantic's ValidationError if it has another layout."""
    fields = {stored: name for name, stored in STORED_NAMES.items()}
    return TypeAdapter(Entry).validate_python({fields.get(key, key): value for key, value in content.items()})
