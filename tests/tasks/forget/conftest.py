"""Fixtures of the tests of forgetting: a project in which the rows of a person arrived, and a champion."""

from tests.support.operated_project import made, root

__all__ = ["made", "root"]
