"""Cleaning: text is normalised and stays readable; personal data is masked only if params ask for it."""

from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.sources.cleaning import clean_text
from tests.support.ingesting import ingest, output, write

TEST = "text,label\nis it lost,a\nplease stop,b\n"


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("cafe\u0301", "caf\u00e9"),
        ("  a\tb \u00a0 c  ", "a b c"),
        ("one\r\n\r\n two\x0bthree ", "one\ntwo\nthree"),
        ("a\x00b\x07c\x9d\ufeff", "abc"),
        ("family 👩\u200d👧", "family 👩\u200d👧"),
    ],
)
def test_text_is_normalised_and_stays_readable(raw: str, clean: str) -> None:
    assert clean_text(raw) == clean
    assert clean_text(clean) == clean


def test_masking_is_off_unless_params_ask_for_it(tmp_path: Path) -> None:
    write(tmp_path, train__csv="text,label\nmail a@b.com,a\nother,b\n", test__csv=TEST)
    ingest(tmp_path)
    assert output(tmp_path, "train")["text"].tolist()[0] == "mail a@b.com"
    ingest(tmp_path, mask_pii=True)
    assert output(tmp_path, "train")["text"].tolist()[0] == "mail [EMAIL]"
    with pytest.raises(UserError, match='ingest.phone_region: expected a country code.*found "XX"'):
        ingest(tmp_path, mask_pii=True, phone_region="XX")
