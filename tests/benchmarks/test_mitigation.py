"""The benchmark of mitigations: which labels its runs see, and that each row keeps its groups."""

import csv
import random
from pathlib import Path

import pytest

from benchmarks import mitigation, tasks

GROUPS = ("Race", "Religion", "Gender", "Sexual_Orientation")


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """A file of posts in the shape of the published one."""
    drawn = random.Random(2)
    labels = ("normal", "offensive", "hatespeech")
    posts = [
        {"comment": f"post number {i}", "label": drawn.choice(labels)} | {name: f"{name} {i}" for name in GROUPS}
        for i in range(400)
    ]
    monkeypatch.setenv("GLEANER_DATA", str(tmp_path))
    (tmp_path / "hatexplain").mkdir()
    with (tmp_path / "hatexplain" / "posts.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(posts[0]))
        writer.writeheader()
        writer.writerows(posts)
    return posts


def test_rows_are_split_by_the_protocol_and_keep_their_groups(records: list[dict[str, str]]) -> None:
    task = tasks.load_task("hatexplain")
    rows = list(mitigation.protocol_rows(task, seed=3))
    parts = {part: [row for row in rows if row["split"] == part] for part in ("train", "unlabelled", "test")}
    drawn = tasks.draw_labelled(task.train, task.overlay["ingest"]["labels_per_class"], 3)
    gold = {task.train.texts[index]: task.train.labels[index] for index in drawn}
    assert {row["text"]: row["label"] for row in parts["train"]} == gold and len(gold) == 96
    assert {row["label"] for row in parts["unlabelled"]} == {""}, "no label of the pool is known to any run"
    assert [(row["text"], row["label"]) for row in parts["test"]] == list(zip(*vars(task.test).values(), strict=True))
    race_of = {post["comment"]: post["Race"] for post in records}
    assert len(rows) == 400 and all(row["race"] == race_of[row["text"]] for row in rows)
