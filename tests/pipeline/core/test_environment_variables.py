"""Environment variables in params: each reference is replaced, and a missing variable is named with its key."""

import pytest

from pipeline.core.environment_variables import expand_variables
from pipeline.core.errors import UserError


def test_each_reference_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_USER", "reader")
    monkeypatch.setenv("DB_PASSWORD", "a$b\\1")
    assert expand_variables("ingest.url", "sql://${DB_USER}:${DB_PASSWORD}@host/$x") == "sql://reader:a$b\\1@host/$x"


def test_a_missing_variable_is_an_error_that_names_key_and_variable_only() -> None:
    message = r"^notify.to\[0\]: expected the environment variable NO_SUCH_THING, found none; set it$"
    with pytest.raises(UserError, match=message):
        expand_variables("notify.to[0]", "https://secret/${NO_SUCH_THING}")
