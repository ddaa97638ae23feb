"""Texts that were sent to the service leave its traffic, and vectors of trainings that held them go."""

import os
import secrets
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cli import forget as command
from pipeline.core import table
from pipeline.serving.text_numbers import SECRET_BYTES, find_secret, number_texts
from pipeline.serving.traffic_files import ANSWERS, AnsweredTexts, answers_table, write_table
from tasks import registry
from tasks.registry import lookup
from tasks.registry.manifest import MANIFEST_DIGEST_TAG
from tests.support.night_project import ingest_table, run_ingest, to_csv
from tests.support.operated_project import ARRIVED, SECRET, register

pytestmark = pytest.mark.slow

PERSON = table.row_id("raw", SECRET)
SENT = "my  name is Ada Byron, where is my money"  # only the service has seen it, with two spaces
OLD = 1_700_000_000


def keep(root: Path, *texts: str, width: int = 3) -> Path:
    """A file of answers to these texts, as a worker writes it; the vector of a text holds its place in the file."""
    folder, rows = root / "data" / "traffic", len(texts)
    half, vectors = np.full(rows, 0.5, np.float32), np.arange(rows, dtype=np.float16)[:, None].repeat(width, 1)
    numbers = number_texts([*texts], find_secret(folder)) if width else []
    ids = [f"id-{row}" for row in range(rows)]
    answered = AnsweredTexts(
        datetime.now(UTC), "k", "1", "d", 1.0, ids, ["refund"] * rows, half, half, vectors, numbers
    )
    return write_table(folder, ANSWERS, answers_table([answered]))


def keep_training(root: Path, digest: str) -> Path:
    """What `gleaner monitor` keeps of the training of the version with this digest."""
    folder = root / "data" / "scratch" / "monitor" / f"{digest[:16]}-1000-0-2"
    folder.mkdir(parents=True)
    (folder / "training.parquet").write_bytes(keep(root, "a", "b").read_bytes())
    return folder


def digest_of(root: Path, number: str) -> str:
    """The digest of a version's bundle."""
    return lookup.get_version(registry.connect(root), "gleaner-demo", number).tags[MANIFEST_DIGEST_TAG]


def forget(root: Path, *texts: str, dry_run: bool = False) -> int:
    """Forget these texts, and return the exit code."""
    wanted = root.parent / "person.txt"
    wanted.write_text("\n".join(texts))
    return command.main(root, [], wanted, False, dry_run)


def test_a_text_that_only_the_service_saw_leaves_its_traffic(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, alone, others = keep(root, "a", SENT, "b", SENT), keep(root, SENT), keep(root, "a", "b")
    bare = keep(root, SENT, width=0)
    before, kept = pq.read_table(first), {path: path.read_bytes() for path in (others, bare)}
    first.chmod(0o600)
    os.utime(first, (OLD, OLD))
    name = first.relative_to(root).as_posix()
    assert forget(root, SENT, dry_run=True) == 0
    assert f"Would remove:\n  {name}: 2 rows\n" in capsys.readouterr().out and pq.read_table(first).equals(before)
    assert forget(root, SENT) == 0
    printed = capsys.readouterr().out
    assert f"{name}: 2 rows\n" in printed and f"{alone.relative_to(root).as_posix()}: 1 row\n" in printed
    assert "Not found" not in printed and "has its last answers in memory" in printed
    assert "named by an id" not in printed
    assert pq.read_table(first).equals(before.take([0, 2])) and not alone.exists()
    assert (first.stat().st_mode & 0o777, first.stat().st_mtime) == (0o600, OLD)
    assert {path: path.read_bytes() for path in kept} == kept
    assert sorted(first.parent.iterdir()) == sorted([first, *kept])
    assert forget(root, SENT) == 0
    assert "nothing, no place holds these rows" in capsys.readouterr().out


def test_the_text_of_a_row_that_an_id_names_leaves_traffic(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = keep(root, SECRET, "other")
    assert command.main(root, [PERSON], None, False, False) == 0
    assert pq.read_table(path)["id"].to_pylist() == ["id-1"]
    assert "named by an id" not in capsys.readouterr().out
    command.main(root, ["0" * 16], None, False, True)
    assert "some rows are named by an id alone: name them by their texts" in capsys.readouterr().out


def test_traffic_of_which_nobody_can_tell_is_left_and_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = keep(root, "other")
    damaged.write_bytes(b"PAR1 and nothing else")
    of_killed, being_written = (damaged.with_name(f".answers-{name}.parquet.part") for name in "ab")
    for part in (of_killed, being_written):
        part.write_bytes(b"PAR1")
    os.utime(of_killed, (OLD, OLD))
    assert forget(root, SENT) == 1 and being_written.exists()
    printed = capsys.readouterr().out
    assert of_killed.name in printed and being_written.name not in printed
    assert f"{damaged.relative_to(root).as_posix()}: it has vectors of texts, and nobody can tell whose" in printed
    path = keep(root, SENT)
    (root / "data" / "traffic" / "secret").unlink()
    assert forget(root, SENT) == 1 and path.exists()
    assert f"{path.relative_to(root).as_posix()}: it has vectors of texts" in capsys.readouterr().out
    (root / "data" / "traffic" / "secret").write_bytes(secrets.token_bytes(SECRET_BYTES))
    assert len(pq.read_table(path)) == 1


def test_samples_of_trainings_that_held_the_row_go(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "raw" / "pool.csv").write_text(to_csv([("another row of the pool",)], "text"))
    run_ingest(root)
    assert register(root) == "2"
    lookup.get_version(registry.connect(root), "gleaner-demo", "2").set_tags({MANIFEST_DIGEST_TAG: "e" * 64})
    pool = "another row of the pool"
    assert pool in set(ingest_table(root, "unlabelled")["text"])
    first, second = (keep_training(root, digest_of(root, number)) for number in "12")
    unknown = keep_training(root, "f" * 64)
    at_work = unknown.with_name(f".{unknown.name}.{os.getpid()}.part")
    at_work.mkdir()
    forget(root, pool)
    assert first.exists() and at_work.exists() and not second.exists() and not unknown.exists()
    assert f"{second.relative_to(root).as_posix()}: vectors of the texts of a training\n" in capsys.readouterr().out
    assert forget(root, ARRIVED[0][0]) == 0 and not first.exists()
