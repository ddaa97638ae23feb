"""The night after a version was left without a verdict, or after the champion was moved or lost its bundle."""

import shutil
from itertools import islice
from pathlib import Path

import pytest

from pipeline.core.params import load_params
from pipeline.experiments import simulated_month
from tasks import registry
from tasks.registry import nights, promotion_log
from tests.support import month_project
from tests.support.flow_project import announce_server
from tests.support.hooks import webhook
from tests.support.real_project import run_tool, set_params, start_tool, wait_for_tool

MODEL = "gleaner-demo"
# `gleaner retrain` that is killed after its new version is registered and its training is recorded as done.
KILLED = """
import os, signal, sys
from pathlib import Path
from flows import prefect_server
prefect_server.configure_environment(Path.cwd())
prefect_server.find_server()  # before Prefect is imported
from cli import retrain as command
from flows import retrain
retrain.promote = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
sys.exit(command.main(Path.cwd(), force=False))
"""


@pytest.fixture(scope="module")
def after_first_night(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Path:
    """A project after its first night, which no test changes."""
    root = month_project.make_project(tmp_path_factory.mktemp("first-night"))
    announce_server(root, prefect_server)
    done = run_tool(root, "gleaner", "retrain")
    assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.fixture
def root(after_first_night: Path, tmp_path: Path) -> Path:
    """A copy of that project, on the server that the tests share."""
    root = tmp_path / "project"
    shutil.copytree(after_first_night, root, symlinks=True)
    registry.connect(root)  # puts the paths of artifacts right
    return root


def drop_labels(root: Path) -> None:
    """Put enough labelled rows for a training into the inbox."""
    messages = islice(simulated_month.new_messages(root / "data" / "demo"), 30)
    new = [simulated_month.labelled_row(message) for message in messages]
    (root / "inbox" / "texts" / "labels.csv").write_text(simulated_month.to_csv(new, simulated_month.COLUMNS))


@pytest.mark.slow
def test_a_version_whose_night_was_killed_before_it_was_judged_is_judged_by_the_next(root: Path) -> None:
    drop_labels(root)
    assert wait_for_tool(start_tool(root, "python", "-c", KILLED)).returncode == -9
    client, params = registry.connect(root), load_params(root / "params.yaml")
    assert nights.undecided_challenger(root, params) == "2"
    (night,) = [row for row in nights.all_nights(root, params) if row["version"] != "1"]
    assert night["outcome"] == "at work"  # no process was left to change it
    done = run_tool(root, "gleaner", "retrain")
    assert "version 2 was registered, but never judged" in done.stdout, done.stdout + done.stderr
    entry = promotion_log.read(client, MODEL).entries[-1]
    assert entry.version == "2" and entry.verdict is not None
    assert nights.undecided_challenger(root, params) is None
    after = run_tool(root, "gleaner", "retrain")
    assert after.returncode == 0 and after.stdout.startswith("skipped\n")
    assert [row["outcome"] for row in nights.all_nights(root, params)][1::2] == ["crashed", "skipped"]


@pytest.mark.slow
def test_a_stopped_night_is_recorded_as_failed_with_its_reason(root: Path) -> None:
    drop_labels(root)
    assert wait_for_tool(start_tool(root, "python", "-c", KILLED.replace("SIGKILL", "SIGTERM"))).returncode == 130
    params = load_params(root / "params.yaml")
    night = nights.all_nights(root, params)[-1]
    assert (night["outcome"], night["version"]) == ("failed", "2")
    assert night["reasons"] == "stopped by a signal before it ended; the next night goes on from there"
    assert nights.undecided_challenger(root, params) == "2"


@pytest.mark.slow
def test_a_champion_that_was_moved_by_hand_fails_the_night_until_a_rollback_names_one(root: Path) -> None:
    registry.connect(root).delete_registered_model_alias(MODEL, "champion")
    done = run_tool(root, "gleaner", "retrain")
    assert done.returncode == 2
    assert done.stdout.startswith(f"failed\n  {MODEL}: expected the alias champion at version 1"), done.stdout
    back = run_tool(root, "gleaner", "rollback", "--to", "1")
    assert back.returncode == 0, back.stdout + back.stderr
    assert run_tool(root, "gleaner", "retrain").stdout.startswith("skipped\n")


@pytest.mark.slow
def test_a_champion_without_its_bundle_is_notified_and_a_later_night_with_it_goes_on(root: Path) -> None:
    (bundle,) = (root / "mlruns").rglob("artifacts/bundle")
    drop_labels(root)
    bundle.rename(root / "away")
    with webhook() as (address, posted):
        set_params(root, notify={"to": [f"json://{address}/x"], "on": ["failed"]})
        done = run_tool(root, "gleaner", "retrain")
    assert done.returncode == 2, done.stdout + done.stderr
    first, second = done.stdout.splitlines()[:2]  # it trains, and has nothing to compare the new version with
    assert first == "failed version 2" and second.startswith(f"  {MODEL} version 1: expected its bundle among its art")
    assert "expected its bundle" in posted[0]["message"]
    (root / "away").rename(bundle)
    assert run_tool(root, "gleaner", "retrain").stdout.splitlines()[0].startswith(("promoted", "refused"))


@pytest.mark.slow
def test_what_was_registered_by_hand_is_left_to_people(root: Path) -> None:
    (root / "learn.py").write_text((root / "learn.py").read_text() + "# another version\n")
    done = run_tool(root, "gleaner", "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(registry.connect(root).get_registered_model(MODEL).aliases["challenger"]) == "2"
    assert nights.undecided_challenger(root, load_params(root / "params.yaml")) is None
