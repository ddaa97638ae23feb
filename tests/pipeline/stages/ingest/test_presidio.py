"""Ingest with Presidio: persons of a real file are masked, and what is missing stops it before anything is written."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import UserError
from pipeline.stages.ingest import prepare
from tests.support.ingesting import ingest, output, rejected, write
from tests.support.spacy_pipeline import save_pipeline

PRESIDIO: dict[str, Any] = {"entities": ["PERSON", "US_SSN"], "model": None, "language": "en", "min_score": 0.4}
TRAIN = "text,label\nAda Byron wants her money,a\nBob Ray wants his money,a\nssn 219-09-9998 of ada@b.com,b\n,b\n"
TEST = "text,label\nis it lost,a\nplease stop,b\n"


def test_persons_and_numbers_of_a_file_are_masked(tmp_path: Path) -> None:
    model = save_pipeline(tmp_path / "spacy", {"Ada Byron": "PERSON", "Bob Ray": "PERSON"})
    write(tmp_path, train__csv=TRAIN, test__csv=TEST)
    counts = ingest(tmp_path, mask_pii=True, max_rejected_share=1.0, presidio=PRESIDIO | {"model": str(model)})
    found = {name: count for name, count in counts["masked"].items() if count}
    assert found == {"EMAIL": 1, "PERSON": 2, "US_SSN": 1}
    assert output(tmp_path, "train")["text"].tolist() == [
        "[PERSON] wants her money",
        "[PERSON] wants his money",
        "ssn [US_SSN] of [EMAIL]",
    ]
    assert list(rejected(tmp_path).values()) == ["empty text"]


def test_blocks_in_other_processes_are_masked_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "BLOCKS_ALONE", 0)
    write(tmp_path, train__csv=TRAIN, test__csv=TEST)
    ingest(tmp_path, mask_pii=True, max_rejected_share=1.0, presidio=PRESIDIO | {"entities": ["US_SSN"]})
    assert output(tmp_path, "train")["text"].tolist()[-1] == "ssn [US_SSN] of [EMAIL]"


def test_what_is_missing_stops_it_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ingest\.presidio\.entities: .* found PERSON; name a spaCy pipeline"):
        ingest(tmp_path, mask_pii=True, presidio=PRESIDIO)  # there is no file
    assert not (tmp_path / "data").exists()
