"""A registration that was killed at any step is finished by the next one, as one version that is challenger."""

import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import mlflow
import pytest

from pipeline.core.params import Params
from tasks import registry
from tasks.compare import choose_versions
from tasks.registry import champion_alias, promotion_log, versions
from tasks.registry.store import set_version_tags
from tasks.registry.version_tags import COMPLETE
from tests.support.promoting import without_prefect
from tests.support.registering import change_lock

MODEL = "gleaner-demo"
STEPS = {
    "log_model": import_module("mlflow.pyfunc"),
    "register_model": mlflow,
    "set_registered_model_alias": mlflow.MlflowClient,
    "enter_first_champion": champion_alias,
    "set_version_tags": versions,
}


class Killed(BaseException):
    """Stands for kill -9 in the middle of a registration: nothing after it runs."""


def open_run(root: Path, params: Params) -> registry.Run:
    """A run that nobody closes, as a killed process leaves it."""
    client = registry.connect(root)
    experiment = registry.experiment_id(client, root, params.registry.experiment)
    return registry.Run(client, client.create_run(experiment, tags={"gleaner.flow_run": "flow"}).info.run_id)


def kill_at(step: str, when: str, patch: pytest.MonkeyPatch, register: Callable[[], object]) -> None:
    """Register, and end as if killed before or after this step."""
    real = getattr(STEPS[step], step)

    def die(*given: Any, **named: Any) -> object:
        if when == "after":
            real(*given, **named)
        raise Killed

    with patch.context() as inner:
        inner.setattr(STEPS[step], step, die)
        with pytest.raises(Killed):
            register()


@pytest.fixture
def champion(project: Path, local: Params) -> Path:
    """The project with version 1, which has no files, as champion, and with a training that is not registered yet."""
    opened = open_run(project, local)
    opened.client.create_registered_model(MODEL)
    opened.client.create_model_version(MODEL, str(project), opened.id, {COMPLETE: "yes"})
    opened.client.set_registered_model_alias(MODEL, "challenger", "1")
    champion_alias.enter_first_champion(opened.client, MODEL, "1", "flow", local.promotion)
    return project


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_the_next_registration_finishes_a_version_that_was_killed_at_any_step(
    champion: Path, local: Params, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    killed = open_run(champion, local)
    kill_at(step, when, monkeypatch, lambda: versions.register_or_reuse(champion, local, killed))
    assert killed.client.get_run(killed.id).info.status == "RUNNING"  # nothing says that it came to its end
    done = versions.register_or_reuse(champion, local, open_run(champion, local))
    assert (done.number, done.aliases) == ("2", ("challenger",))
    stored = killed.client.search_model_versions(f"name = '{MODEL}'")
    assert {str(version.version): version.tags[COMPLETE] for version in stored} == {"1": "yes", "2": "yes"}
    ledger = promotion_log.read(killed.client, MODEL)
    assert [(entry.action, entry.version) for entry in ledger.entries] == [("initial", "1")]


def test_a_first_version_that_was_killed_before_it_became_champion_becomes_champion(
    project: Path, local: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_run(project, local)
    kill_at("enter_first_champion", "before", monkeypatch, lambda: versions.register_or_reuse(project, local, opened))
    again = versions.register_or_reuse(project, local, open_run(project, local))
    assert (again.number, again.aliases, again.is_new) == ("1", ("challenger", "champion"), False)


def test_a_promotion_takes_the_version_that_was_killed_before_it_became_challenger(
    champion: Path, local: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_run(champion, local)
    kill_at("register_model", "after", monkeypatch, lambda: versions.register_or_reuse(champion, local, opened))
    pair = without_prefect(choose_versions)(champion, local, None)
    assert (pair.champion.number, pair.challenger.number) == ("1", "2")


def test_a_newer_challenger_stays_when_an_older_version_is_finished(champion: Path, local: Params) -> None:
    opened = open_run(champion, local)
    versions.register_or_reuse(champion, local, opened)
    set_version_tags(opened.client, MODEL, "1", {COMPLETE: "no"})
    versions.finish_registrations(opened.client, MODEL, local.promotion)
    assert registry.aliases_of(opened.client, MODEL, "2") == ("challenger",)
    assert opened.client.get_model_version(MODEL, "1").tags[COMPLETE] == "yes"


def test_a_version_from_before_the_tag_is_taken_for_complete(champion: Path, local: Params) -> None:
    opened = open_run(champion, local)
    versions.register_or_reuse(champion, local, opened)
    opened.client.delete_model_version_tag(MODEL, "2", COMPLETE)
    opened.client.set_registered_model_alias(MODEL, "challenger", "1")  # somebody chose it
    again = versions.register_or_reuse(champion, local, open_run(champion, local))
    assert (again.number, again.aliases) == ("2", ())


TWO_AT_ONCE = """
import sys, time
from pathlib import Path
from pipeline.core.params import load_params
from tasks import registry
from tests.tasks.registry.test_versions_killed import open_run
root, name = Path(sys.argv[1]), sys.argv[2]
params = load_params(root / "params.yaml")
params = params.model_copy(update={"registry": params.registry.model_copy(update={"push": False})})
opened = open_run(root, params)
(root / name).touch()
while not all((root / other).exists() for other in ("one", "two")):
    time.sleep(0.01)
done = registry.register_or_reuse(root, params, opened)
print(done.number, *done.aliases)
"""


@pytest.mark.slow
def test_two_at_once_finish_one_version_and_make_another_once(
    project: Path, local: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = open_run(project, local)
    kill_at("register_model", "after", monkeypatch, lambda: versions.register_or_reuse(project, local, opened))
    change_lock(project)
    command = [sys.executable, "-c", TWO_AT_ONCE, str(project)]
    both = [
        subprocess.Popen([*command, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in ("one", "two")
    ]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [out for out, _ in outputs] == ["2 challenger\n"] * 2, outputs
    stored = opened.client.search_model_versions(f"name = '{MODEL}'")
    assert {str(version.version): version.tags[COMPLETE] for version in stored} == {"1": "yes", "2": "yes"}
    entries = promotion_log.read(opened.client, MODEL).entries
    assert [(entry.action, entry.version) for entry in entries] == [("initial", "1")]
