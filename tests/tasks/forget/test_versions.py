"""The versions that learned from forgotten rows, or may have, are named and retired."""

from pathlib import Path

import pytest

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.labelling.operations_log import read_entries
from tasks.compare import choose_versions
from tests.support import night_project, refreshing
from tests.support.forgetting import forget
from tests.support.night_project import project_params, to_csv
from tests.support.operated_project import ARRIVED, SECRET, register

pytestmark = pytest.mark.slow

PERSON = table.row_id("raw", SECRET)


def test_versions_that_learned_are_retired_but_for_the_champion(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "raw" / "pool.csv").write_text(to_csv([("another row of the pool",)], "text"))
    night_project.run_ingest(root)
    assert register(root) == "2"
    assert forget(root, PERSON, retire=True) == 0
    assert "Retired: version 2; nobody can promote it" in capsys.readouterr().out
    params = project_params(root)
    with pytest.raises(UserError, match="found none; name one with --version"):
        refreshing.result_of(choose_versions.fn(root, params, None))
    with pytest.raises(UserError, match="version 2: expected a version that may serve, found one that was retired: it"):
        refreshing.result_of(choose_versions.fn(root, params, "2"))


def test_a_version_whose_tables_an_earlier_forget_removed_may_have_learned(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = table.row_id("raw", ARRIVED[1][0])
    assert forget(root, PERSON) == 0
    night_project.run_ingest(root)
    (root / "raw" / "pool.csv").write_text(to_csv([("another row of the pool",)], "text"))
    night_project.run_ingest(root)
    assert register(root) == "2"
    capsys.readouterr()
    assert forget(root, other, dry_run=True) == 0
    printed = capsys.readouterr().out
    assert "Versions that learned from these rows:\n  version 2 (challenger): " in printed
    line = "version 1 (champion): its tables are gone, so that nobody can tell"
    assert f"Versions that may have learned from these rows:\n  {line}\nThe champion serves on: " in printed
    assert forget(root, other) == 0
    started = read_entries(root, "forget")[-1]
    assert (started["versions"], started["unknown"]) == (["2"], ["1"])


def test_versions_that_may_have_learned_are_retired_too(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "raw" / "pool.csv").write_text(to_csv([("another row of the pool",)], "text"))
    night_project.run_ingest(root)
    assert register(root) == "2"
    assert forget(root, PERSON) == 0
    other = table.row_id("raw", ARRIVED[1][0])
    assert forget(root, other, retire=True) == 0
    printed = capsys.readouterr().out
    assert "version 2 (challenger): its tables are gone" in printed
    assert "Retired: version 2, which may have learned from these rows; nobody can promote it" in printed
    with pytest.raises(UserError, match="one that was retired: it may have learned from rows .*: its tables are gone;"):
        refreshing.result_of(choose_versions.fn(root, project_params(root), "2"))
    assert forget(root, other, retire=True) == 0
    printed = capsys.readouterr().out
    assert "version 2 (retired): its tables are gone" in printed and "Retired: version" not in printed
