"""The benchmark of label efficiency: the protocol, what is kept and skipped, the tables, and whole tiny cells."""

import json
import random

import numpy as np
import pytest

from benchmarks import cells, label_efficiency, log, project, tables, tasks
from benchmarks.cells import CellFailed, Method, SharedSetup
from benchmarks.project import BenchmarkPaths
from benchmarks.tasks import Rows, Task
from pipeline.core.errors import UserError
from pipeline.core.params import to_yaml
from pipeline.experiments.stage_runner import stage_names

TINY = {
    "back_translate": {"engine": "none"},
    "synonyms": {"variants": 0},
    "pseudo_label": {"rounds": 1, "folds": 2},
    "finetune": {"max_steps": 2, "batch_size": 8},
}


@pytest.fixture
def task(pairs):
    shuffled = random.Random(5).sample(pairs, len(pairs))
    texts, labels = ([pair[i] for pair in shuffled] for i in (0, 1))
    overlay = {
        "ingest": {"path": "${GLEANER_DATA}/x", "labels": {"rename": {"old": "refund"}}},
        "report": {"title": "x"},
    }
    return Task("tiny", Rows(texts[:90], labels[:90]), [], Rows(texts[90:], labels[90:]), overlay)


@pytest.fixture
def paths(tmp_path, params):
    file = tmp_path / "params.yaml"
    file.write_text(to_yaml(params(TINY).model_dump(mode="json")))
    (tmp_path / "LOG.md").write_text("# Log\n\n## Other\n\n| a |\n|---|\n| 1 |\n")
    folders = (tmp_path / name for name in ("scratch", "results", "LOG.md", "store"))
    return BenchmarkPaths(file, *folders)


def test_the_drawn_labels_are_those_of_the_protocol():
    labels = [random.Random(1).choice("abc") for _ in range(50)]
    rows = Rows([f"text {i}" for i in range(50)], labels)
    order = list(range(50))
    random.Random(3).shuffle(order)
    expected = {label: [i for i in order if labels[i] == label][:4] for label in "abc"}
    drawn = tasks.draw_labelled(rows, 4, 3)
    assert {label: [i for i in drawn if labels[i] == label] for label in "abc"} == expected
    assert drawn == sorted(drawn, key=order.index)


def test_a_row_without_text_is_not_drawn_but_keeps_its_number():
    texts, labels = ["" if i % 2 else f"text {i}" for i in range(20)], ["a"] * 20
    order = list(range(20))
    random.Random(0).shuffle(order)
    assert tasks.draw_labelled(Rows(texts, labels), 3, 0) == [i for i in order if i % 2 == 0][:3]


def test_one_published_file_is_split_by_the_protocol(tmp_path, monkeypatch):
    monkeypatch.setitem(tasks.FILES, "hatexplain", {"train": "posts.csv"})
    (tmp_path / "hatexplain").mkdir()
    lines = ["comment,label", *(f'"post {i}, with a comma",normal' for i in range(10))]
    (tmp_path / "hatexplain" / "posts.csv").write_text("\n".join(lines))
    order = list(range(10))
    random.Random(0).shuffle(order)
    task = tasks.load_task("hatexplain", tmp_path)
    assert [text.split()[1].strip(",") for text in task.train.texts + task.test.texts] == [str(i) for i in order]
    assert len(task.test.texts) == 2


def test_texts_are_joined_and_labels_renamed_as_the_example_says(tmp_path):
    (tmp_path / "clothing_reviews").mkdir()
    rows = ["Title,Review Text,Recommended IND", "Nice,It fits,1", ",No  title,0", "Only,,1", ",,0", "A,B,1"]
    (tmp_path / "clothing_reviews" / "reviews.csv").write_text("\n".join(rows))
    task = tasks.load_task("clothing_reviews", tmp_path)
    assert {*task.train.texts, *task.test.texts} <= {"Nice\nIt fits", "No title", "Only", "", "A\nB"}
    assert {*task.train.labels, *task.test.labels} <= {"recommended", "not recommended"}


def test_missing_data_raises_and_names_the_variable(tmp_path):
    with pytest.raises(UserError, match="set GLEANER_DATA"):
        tasks.load_task("banking77", tmp_path)


def test_changes_follow_a_colon():
    assert cells.parse_method("probe") == Method("probe", "probe", {})
    name = "gleaner:finetune.method=head,synonyms.variants=0"
    assert cells.parse_method(name) == Method(name, "gleaner", {"finetune.method": "head", "synonyms.variants": 0})
    assert cells.parse_method("self_training:criterion=k_best,k_best=50").changes == {
        "criterion": "k_best",
        "k_best": 50,
    }
    with pytest.raises(UserError, match='found "bert"'):
        cells.parse_method("bert:lr=1")


def test_several_values_follow_one_option():
    words = label_efficiency.repeat_options(
        ["--k", "1", "8", "--keep-stale", "--seeds=2", "--methods", "probe", "gleaner:a.b=1"]
    )
    assert words == [
        "--k",
        "1",
        "--k",
        "8",
        "--keep-stale",
        "--seeds=2",
        "--methods",
        "probe",
        "--methods",
        "gleaner:a.b=1",
    ]


def shared(task, paths):
    return SharedSetup(task, project.cell_params(task, paths.params), paths.scratch, 0.01, "digest")


def test_no_label_of_the_pool_or_of_the_test_file_is_written(task, paths):
    content = project.cell_params(task, paths.params)
    project.write_cell(paths.scratch, task, 2, 0, content, paths)
    train = [json.loads(line) for line in (paths.scratch / "raw" / "train.jsonl").read_text().splitlines()]
    assert len(train) == 90 and sum(bool(row["label"]) for row in train) == 6
    assert [row["text"] for row in train] == task.train.texts
    test = (paths.scratch / "test.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in test] == [{"text": text} for text in task.test.texts]
    held = json.loads((paths.scratch / "raw" / "stand_in.jsonl").read_text())
    assert held["text"] not in {*task.train.texts, *task.test.texts}
    assert content["ingest"]["labels"]["rename"] == {} and content["report"]["title"] == "x"


def test_a_result_belongs_to_code_params_and_data(task, paths):
    probe, gleaner = cells.parse_method("probe"), cells.parse_method("gleaner")
    setup = shared(task, paths)
    before = cells.fingerprint(probe, setup), cells.fingerprint(gleaner, setup)
    setup.content["finetune"]["lr"] = 0.5
    assert (cells.fingerprint(probe, setup) == before[0], cells.fingerprint(gleaner, setup) == before[1]) == (
        True,
        False,
    )
    with pytest.raises(UserError, match="finetune.lr"):
        cells.fingerprint(cells.parse_method("gleaner:finetune.lr=fast"), setup)


@pytest.fixture
def quick(task, paths, monkeypatch):
    """``quick(fails)``: two seeds of the probe with nothing trained, those in ``fails`` failing; the seeds that ran."""
    monkeypatch.setattr(label_efficiency, "prepare", shared)

    def run(fails=(), stale=False):
        ran = []

        def run_process(method, folder):
            seed = json.loads((folder / "cell.json").read_text())["seed"]
            ran.append(seed)
            if seed in fails:
                raise CellFailed("exit code 1: out of memory")
            (folder / "predictions.json").write_text(json.dumps(task.test.labels))
            (folder / "trained.json").write_text('{"seconds": 2.0, "looked_up": 30, "known": 20}')
            return cells.ProcessCost(0, 3.0, 2**30)

        monkeypatch.setattr(cells, "run_process", run_process)
        label_efficiency.run_task(task, [1], [0, 1], [cells.parse_method("probe")], paths, stale)
        return ran

    return run


def test_a_finished_cell_is_skipped_and_a_failed_one_tried_again(quick, paths):
    assert quick(fails=[1]) == [0, 1]
    kept = cells.read_results(paths.results / "tiny.jsonl")
    assert kept["probe", 1, 1]["error"] == "exit code 1: out of memory"
    assert kept["probe", 1, 0]["accuracy"] == 1.0
    assert kept["probe", 1, 0]["seconds_cold"] == 2.2  # 20 texts that were known, 0.01 s each
    assert quick() == [1]
    assert quick() == []
    logged = [line for line in paths.log.read_text().splitlines() if "tiny, 1" in line]
    assert len(logged) == 2 and "1: exit code 1: out of memory" in logged[0] and "1.000 ± 0.000" in logged[1]


def test_a_finished_cell_of_other_code_is_run_again_unless_stale_cells_are_kept(quick, monkeypatch):
    quick()
    monkeypatch.setattr(cells, "fingerprint", lambda method, shared: "other")
    assert quick(stale=True) == []
    assert quick() == [0, 1]


def test_the_means_are_over_seeds():
    base = {"method": "probe", "k": 1, "macro_f1": 0.5, "seconds": 1.0, "seconds_cold": 3.0, "gib": 0.5}
    records = [base | {"seed": i, "accuracy": value} for i, value in enumerate([0.5, 0.6, 0.7])]
    records += [{"method": "probe", "k": 1, "seed": 3, "error": "no"}, base | {"k": 2, "seed": 0, "accuracy": 0.8}]
    one, two = tables.aggregate(records)
    assert (one["seeds"], one["failed"], one["error"]) == (3, 1, "no")
    assert (one["accuracy"], one["accuracy_std"]) == (pytest.approx(0.6), pytest.approx(0.1))
    assert tables.mean_and_deviation(one, "accuracy") == "0.600 ± 0.100"
    assert tables.mean_and_deviation(two, "accuracy") == "0.800" and np.isnan(two["accuracy_std"])


def test_the_picture_is_drawn_with_failures_among_the_cells(tmp_path):
    failed = [{"method": "setfit", "k": 1, "seed": 0, "error": "no"}]
    base = {"method": "probe", "macro_f1": 0.5, "seconds": 1.0, "seconds_cold": 3.0, "gib": 0.5, "seed": 0}
    rows = tables.aggregate([*failed, *(base | {"k": k, "accuracy": 0.1 * k} for k in (1, 2))])
    tables.draw_picture({"tiny": rows}, tmp_path / "new" / "picture.png")
    assert (tmp_path / "new" / "picture.png").read_bytes().startswith(b"\x89PNG")


def test_a_row_joins_its_own_table_of_the_log(tmp_path):
    path = tmp_path / "LOG.md"
    path.write_text("# Log\n\n## One\n\n| a |\n|---|\n| 1 |\n\nNote.\n")
    log.add_row("| 2 |", "## One", path=path)
    log.add_row("| x |", "## Two", "Said.\n\n| b |\n|---|", path=path)
    assert path.read_text() == (
        "# Log\n\n## One\n\n| a |\n|---|\n| 1 |\n| 2 |\n\nNote.\n\n## Two\n\nSaid.\n\n| b |\n|---|\n| x |\n"
    )


@pytest.mark.slow
@pytest.mark.weekly
def test_cells_from_raw_rows_to_scores_with_one_pretraining_for_all(task, paths, params):
    changes = TINY | {"pretrain": {"objective": "mlm", "max_steps": 2, "batch_size": 4}}
    paths.params.write_text(to_yaml(params(changes).model_dump(mode="json")))
    methods = [cells.parse_method(name) for name in ("tfidf", "self_training", "gleaner:finetune.method=teacher_head")]
    label_efficiency.run_task(task, [4], [0], methods, paths, False)
    kept = cells.read_results(paths.results / "tiny.jsonl")
    assert [record.get("error") for record in kept.values()] == [None] * 3
    assert all(record["test_rows"] == 36 and record["gib"] > 0 for record in kept.values())
    tfidf, training, gleaner = (kept[method.name, 4, 0] for method in methods)
    assert tfidf["texts"] == 0 and training["texts"] == 90
    assert gleaner["texts"] == 93  # the names of three classes, too
    assert tfidf["accuracy"] > 0.4  # the classes of these sentences have words of their own
    assert list(gleaner["stages"]) == [stage for stage in stage_names("export") if stage != "pretrain"]
    assert gleaner["pretrain_seconds"] > 0
    assert not list(paths.scratch.glob("cells/*"))
    assert (paths.results / "embedding.json").exists()
    (weights,) = paths.scratch.glob("pretrain/*/data/pretrain/encoder/model.safetensors")
    before = weights.stat().st_mtime_ns
    assert label_efficiency.prepare(task, paths).encoder == weights.parent and weights.stat().st_mtime_ns == before
