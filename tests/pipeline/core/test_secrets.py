"""No password or token of a URL is shown, whatever characters it has."""

import pytest

from pipeline.core.secrets import hide_passwords, without_credentials


@pytest.mark.parametrize(
    ("url", "hidden", "bare"),
    [
        ("postgresql://ada:secret@db/x", "postgresql://ada:***@db/x", "postgresql://db/x"),
        ("postgresql://ada:p@ss:w@db/x", "postgresql://ada:***@db/x", "postgresql://db/x"),
        ("https://token@git.example/x", "https://***@git.example/x", "https://git.example/x"),
        ("https://:secret@git.example", "https://:***@git.example", "https://git.example"),
        (
            "a https://x:1@y/z and s3://bucket/a@b",
            "a https://x:***@y/z and s3://bucket/a@b",
            "a https://y/z and s3://bucket/a@b",
        ),
        ("http://127.0.0.1:4200/api", "http://127.0.0.1:4200/api", "http://127.0.0.1:4200/api"),
    ],
)
def test_credentials_are_hidden_or_left_out(url: str, hidden: str, bare: str) -> None:
    assert hide_passwords(url) == hidden and without_credentials(url) == bare
