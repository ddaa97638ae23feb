"""Fixtures of the tests of backups: a project with arrivals, an inbox, a DVC remote and a champion."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.operated_project import copy_to, operated_project


@pytest.fixture(scope="package")
def made(tmp_path_factory: pytest.TempPathFactory, store: Path) -> Iterator[Path]:
    """The project that each test copies."""
    with operated_project(tmp_path_factory.mktemp("made"), store) as root:
        yield root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    """A project of the test's own."""
    return copy_to(made, tmp_path / "project")
