"""Fixtures of the tests of backups: a project with arrivals, an inbox, a DVC remote and a champion."""

from tests.support.operated_project import made, root

__all__ = ["made", "root"]
