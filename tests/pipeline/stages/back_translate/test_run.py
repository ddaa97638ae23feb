"""Back-translation: useless translations are rejected, and a killed run translates nothing twice."""

import json
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml, to_yaml
from pipeline.core.stage import Paths
from pipeline.stages.back_translate.run import rejection_reason, run, translate_batch
from tests.support.ingesting import ROOT
from tests.support.translating import TEXTS, install_apertium, needs_apertium, params, read_output, write_gold


@pytest.mark.slow
@needs_apertium
def test_a_killed_run_translates_nothing_twice(tmp_path, monkeypatch):
    install_apertium(tmp_path, monkeypatch, '[ "$1" = -u ] && echo "$2" >> "$LOG"; exec "$REAL" "$@"')
    calls = tmp_path / "calls"
    texts = [f"There are {n} messages about my card." for n in range(2, 12)]
    write_gold(tmp_path, texts)
    content = read_yaml(ROOT / "params.yaml")
    content["back_translate"] |= {"engine": "apertium", "apertium": ["eng-spa", "spa-eng"], "batch_size": 2}
    (tmp_path / "params.yaml").write_text(to_yaml(content))

    def start():
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline.stages.back_translate"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )

    killed = start()
    while not calls.exists() or len(calls.read_text().split()) < 7:  # in the fourth batch of five
        assert killed.poll() is None
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    before = len(calls.read_text().split())
    assert not (tmp_path / "data" / "back_translate" / "metrics.json").exists()

    assert start().wait() == 0
    metrics = json.loads((tmp_path / "data" / "back_translate" / "metrics.json").read_text())
    assert metrics["gold_rows"] == 10
    assert len(calls.read_text().split()) - before == 2 * 2  # three batches of five were done, there and back
    resumed = read_output(tmp_path)

    (tmp_path / "unbroken").mkdir()
    write_gold(tmp_path / "unbroken", texts)
    run(params(), Paths(tmp_path / "unbroken"))
    for table, expected in zip(resumed, read_output(tmp_path / "unbroken"), strict=True):
        pd.testing.assert_frame_equal(table, expected)


@pytest.mark.parametrize(
    ("original", "translation", "expected"),
    [
        ("My card", " ", "empty"),
        ("My card", "my  CARD", "identical"),
        ("My card", "my card " * 4, "too_long"),
        ("my card " * 4, "My card", "too_short"),
        ("My card", "My cards", None),
    ],
)
def test_useless_translations_are_rejected_with_a_reason(original, translation, expected):
    assert rejection_reason(original, translation, 3.0) == expected


def test_no_engine_writes_empty_tables(tmp_path):
    write_gold(tmp_path, TEXTS)
    metrics = run(params(engine="none"), Paths(tmp_path))
    rows, rejected = read_output(tmp_path)
    assert rows.empty and rejected.empty and "group.age" in rows.columns
    assert metrics["rows"] == metrics["rejected"] == 0


@needs_apertium
def test_a_worker_that_translates_otherwise_is_refused():
    section = params(engine="apertium").model_dump_json()
    with pytest.raises(
        UserError, match="back_translate.engine: expected workers with the same apertium as here, found"
    ):
        translate_batch(section, "apertium of another machine", ["where is my parcel"])
