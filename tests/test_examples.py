"""Each overlay of examples/ reads its real data, with the expected numbers of classes, rows and groups.

The data is in the folder GLEANER_DATA (default ../shared/data). Where it is absent, these tests are skipped.
"""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from pipeline.commands.configure import configure
from pipeline.core import table
from pipeline.core.params import load_params
from pipeline.core.stage import Paths
from pipeline.models import encoder
from pipeline.stages.ingest import run

ROOT = Path(__file__).parent.parent
DATA = Path(os.environ.get("GLEANER_DATA", ROOT.parent / "shared" / "data")).resolve()
# example: (classes, gold rows, test rows, group attributes)
EXPECTED = {
    "banking77": (77, 616, 3080, 0),
    "ag_news": (4, 32, 7600, 0),
    "hatexplain": (3, 96, 4022, 4),
    "clothing_reviews": (2, 128, 4526, 1),
    "eprstmt": (2, 32, 610, 0),
    "phrasebank": (3, 24, 970, 0),
    "emotion": (4, 32, 1421, 0),
}


def test_every_example_is_tested() -> None:
    assert {path.stem for path in (ROOT / "examples").glob("*.yaml")} == {*EXPECTED, "own_files"}


def test_the_example_of_own_files_reads_texts_and_an_encoder_from_folders(
    tmp_path: Path, tiny_encoder: Path, pairs: list[tuple[str, str]]
) -> None:
    shutil.copytree(tiny_encoder, tmp_path / "encoder")
    (tmp_path / "own_files").mkdir()
    pd.DataFrame(pairs[:110], columns=["text", "label"]).to_csv(tmp_path / "own_files" / "labelled.csv", index=False)
    pool = pd.DataFrame({"text": [text for text, _ in pairs[110:]]})
    pool.to_csv(tmp_path / "own_files" / "unlabelled.csv", index=False)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    configure(ROOT / "examples" / "own_files.yaml", tmp_path / "params.yaml", str(tmp_path))
    params = load_params(tmp_path / "params.yaml")
    assert encoder.locate(params.encoder) == tmp_path / "encoder"
    metrics = run(params.ingest, Paths(tmp_path))
    assert metrics["classes"] == 3 and metrics["rows"]["test"] >= params.gate.min_test_rows
    assert metrics["rows"]["train"] > 50 and metrics["rows"]["unlabelled"] == 16


@pytest.mark.slow
@pytest.mark.parametrize("example", EXPECTED)
def test_an_example_reads_its_data(tmp_path: Path, example: str) -> None:
    if not (DATA / example).is_dir():
        pytest.skip(f"{DATA / example} is not there; GLEANER_DATA names the folder of the data")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    configure(ROOT / "examples" / f"{example}.yaml", tmp_path / "params.yaml", str(DATA))
    metrics = run(load_params(tmp_path / "params.yaml").ingest, Paths(tmp_path))
    train = table.read(tmp_path / "data" / "ingest" / "train.parquet")
    counts = (metrics["classes"], metrics["rows"]["train"], metrics["rows"]["test"], len(table.group_columns(train)))
    assert counts == EXPECTED[example]
    assert metrics["rows"]["unlabelled"] > 1000
    read, kept = metrics["rows"]["read"], sum(metrics["rows"][name] for name in table_names())
    assert (
        read == kept + sum(metrics["rejected"].values()) + metrics["unlabelled_left_out"]
    )  # every row is accounted for


def table_names() -> tuple[str, ...]:
    """The splits that ingest writes."""
    return ("train", "validation", "test", "unlabelled")
