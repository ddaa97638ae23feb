"""A run with nothing to do is told without Prefect and MLflow; whatever is in doubt is left to the training flow."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.core.params import Params, load_params
from tasks import registry
from tasks.finished_training import find_finished_training
from tasks.registry import trainings
from tasks.registry.version_tags import COMPLETE, NO, RETIRED, YES
from tests.support.flow_project import make_project, tool_environment
from tests.support.registered_versions import register
from tests.support.stage_project import overwrite

MODEL = "gleaner-demo"
STAGES = ["ingest", "synonyms", "back_translate", "export", "evaluate", "fairness"]
WITHOUT_SERVERS = """
import sys
from pathlib import Path
from pipeline.core.params import load_params
from tasks.finished_training import find_finished_training
print(find_finished_training(Path.cwd(), load_params(Path("params.yaml"))).version.number)
print(sorted({"prefect", "mlflow", "torch", "transformers"} & sys.modules.keys()))
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project whose training is finished; each test leaves it so."""
    root = make_project(tmp_path_factory.mktemp("finished"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "")
        assert find_finished_training(root, load_params(root / "params.yaml")) is None
        assert register(root).is_new
        yield root


@pytest.fixture
def params(project: Path) -> Params:
    """The params of the project."""
    return load_params(project / "params.yaml")


def test_a_finished_training_has_its_stages_its_verdict_and_its_version(project: Path, params: Params) -> None:
    finished = find_finished_training(project, params)
    assert finished is not None and finished.stages == STAGES and finished.verdict.status == "pass"
    assert finished.version == register(project) and not finished.version.is_new


def test_it_is_found_without_prefect_and_mlflow(project: Path) -> None:
    environment = tool_environment(project)
    command = [sys.executable, "-c", WITHOUT_SERVERS]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "1\n[]\n", done.stderr


@contextmanager
def changed(file: Path, content: str) -> Iterator[None]:
    """Another content of a file for a block; its time, its size and its number stay, as on a failing disk."""
    before = file.read_text()
    overwrite(file, content)
    yield
    overwrite(file, before)


def test_an_output_that_only_its_bytes_tell_from_the_recorded_one_is_left_to_the_flow(
    project: Path, params: Params
) -> None:
    metrics = project / "data" / "evaluate" / "metrics.json"
    with changed(metrics, metrics.read_text().replace("0.9", "0.8", 1)):
        assert find_finished_training(project, params) is None


def test_an_input_that_changed_is_left_to_the_flow(project: Path, params: Params) -> None:
    groups = project / "given" / "fairness" / "groups.csv"
    before = groups.read_text()
    groups.write_text(before.replace("0.91", "0.92"))
    assert find_finished_training(project, params) is None
    groups.write_text(before)
    assert find_finished_training(project, params) is not None


def test_a_verdict_that_is_no_pass_is_left_to_the_flow(project: Path, params: Params) -> None:
    strict = params.model_copy(update={"gate": params.gate.model_copy(update={"min_accuracy": 0.99})})
    assert find_finished_training(project, strict) is None


def test_an_incomplete_a_retired_and_an_unregistered_version_are_left_to_the_flow(
    project: Path, params: Params
) -> None:
    client = registry.connect(project)
    client.set_model_version_tag(MODEL, "1", COMPLETE, NO)
    assert find_finished_training(project, params) is None
    client.set_model_version_tag(MODEL, "1", COMPLETE, YES)
    client.set_model_version_tag(MODEL, "1", RETIRED, "it learned from a forgotten row")
    assert find_finished_training(project, params) is None
    client.delete_model_version_tag(MODEL, "1", RETIRED)
    elsewhere = params.model_copy(update={"registry": params.registry.model_copy(update={"model": "another"})})
    assert find_finished_training(project, elsewhere) is None


def test_a_training_that_was_killed_after_its_version_was_registered_is_left_to_the_flow(
    project: Path, params: Params
) -> None:
    with registry.open_run(project, params, "killed", "flow-2") as opened:
        trainings.begin_training(opened, {})
    assert find_finished_training(project, params) is None
    with registry.open_run(project, params, "the flow after it", "flow-3") as opened:
        trainings.begin_training(opened, {})
        trainings.finish_training(opened)
    assert find_finished_training(project, params) is not None


def test_a_champion_without_its_alias_is_left_to_the_flow(project: Path, params: Params) -> None:
    client = registry.connect(project)
    client.delete_registered_model_alias(MODEL, "champion")
    assert find_finished_training(project, params) is None
    client.set_registered_model_alias(MODEL, "champion", "1")
    assert find_finished_training(project, params) is not None
