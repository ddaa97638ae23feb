"""The nights of examples/deploy: image, work pools and deployments agree, and its entry point keeps what arrived."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from pipeline.core.params import read_yaml
from tests.support.flow_project import BIN, ROOT
from tests.support.real_project import git

DEPLOY = ROOT / "examples" / "deploy"
CONTAINER = (DEPLOY / "Containerfile.nights").read_text()
ENTRY = DEPLOY / "night.sh"
KINDS = ("docker", "kubernetes")
VOLUME, USER = "/srv/gleaner", 10001
TEMPLATES = {kind: json.loads((DEPLOY / f"{kind}-pool.json").read_text()) for kind in KINDS}
DEPLOYMENTS = {kind: one for kind, one in zip(KINDS, read_yaml(DEPLOY / "nights.yaml")["deployments"], strict=True)}


def test_the_image_is_pinned_and_runs_as_the_user_of_the_jobs() -> None:
    assert re.search(r"^ARG BASE=\S+/python:3\.11\.\d+-slim-\w+$", CONTAINER, re.MULTILINE)
    assert re.findall(r"^FROM (.*)$", CONTAINER, re.MULTILINE) == ["${BASE} AS build", "${BASE}"]
    assert CONTAINER.count(f"USER {USER}:{USER}\n") == 1 and f"-o {USER} -g {USER} {VOLUME}\n" in CONTAINER
    assert f"COPY --chmod=755 {ENTRY.relative_to(ROOT)} " in CONTAINER and f'"{ENTRY.name}"]\n' in CONTAINER
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "'.[s3]'" in CONTAINER and "s3" in project["optional-dependencies"]
    assert TEMPLATES["docker"]["job_configuration"]["container_create_kwargs"]["user"] == f"{USER}:{USER}"
    pod = TEMPLATES["kubernetes"]["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    assert (pod["securityContext"]["runAsUser"], pod["securityContext"]["fsGroup"]) == (USER, USER)
    assert pod["containers"][0]["volumeMounts"][0]["mountPath"] == VOLUME
    assert TEMPLATES["docker"]["variables"]["properties"]["volumes"]["default"][0].endswith(f":{VOLUME}")


def test_the_image_is_built_from_what_the_package_is_made_of_and_nothing_else() -> None:
    first, *lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] != "#"]
    passed = [Path(line[1:]) for line in lines if line.startswith("!")]
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [
        *map(Path, wheel["packages"]),
        *map(Path, wheel["force-include"]),
        Path("pyproject.toml"),
        Path("README.md"),
    ]
    assert first == "*" and set(passed) == set(needed)


@pytest.mark.parametrize("kind", KINDS)
def test_a_work_pool_sets_only_variables_that_it_declares(kind: str) -> None:
    template, deployment = TEMPLATES[kind], DEPLOYMENTS[kind]
    declared = set(template["variables"]["properties"])
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(template["job_configuration"])))
    assert used == declared
    assert set(deployment["work_pool"]["job_variables"]) <= declared
    nightly = read_yaml(ROOT / "prefect.yaml")["deployments"][0]
    for key in ("entrypoint", "parameters", "schedules", "concurrency_limit"):
        assert deployment[key] == nightly[key]


def test_the_claim_and_the_secret_are_those_of_the_work_pool() -> None:
    text = (DEPLOY / "kubernetes-nights.yaml").read_text()
    claim = yaml.safe_load(text)
    variables = TEMPLATES["kubernetes"]["variables"]["properties"]
    assert claim["kind"] == "PersistentVolumeClaim" and claim["metadata"]["name"] == variables["claim"]["default"]
    assert f"secret generic {variables['secret']['default']} " in text


def bare_repository(folder: Path) -> Path:
    """A git repository with one commit, and its bare copy; returns the copy."""
    work = folder / "work"
    work.mkdir(parents=True)
    git(work, "init", "-q", "-b", "main")
    (work / "file").write_text("first")
    git(work, "add", "-A")
    git(work, "commit", "-q", "-m", "first")
    git(folder, "clone", "-q", "--bare", str(work), "origin.git")
    return folder / "origin.git"


def run_entry(folder: Path, *command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the entry point in an environment of its own, with these settings in its file, and an empty home."""
    file = folder / "nights.env"
    file.write_text("# a comment\n\n" + "".join(f"{name}={value}\n" for name, value in settings.items()))
    (folder / "home").mkdir(exist_ok=True)
    variables = {"PATH": os.pathsep.join([str(BIN), os.environ["PATH"]]), "HOME": str(folder / "home")}
    places = {"GLEANER_SETTINGS": str(file), "GLEANER_PROJECT": str(folder / "volume" / "project")}
    (folder / "volume").mkdir(exist_ok=True)
    return subprocess.run(
        [str(ENTRY), *command], env=variables | places, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_night_without_repository_or_tracking_server_does_not_begin(tmp_path: Path) -> None:
    done = run_entry(tmp_path, "true")
    assert done.returncode == 2 and done.stderr.startswith("error: GLEANER_REPOSITORY: expected the URL of")
    done = run_entry(tmp_path, "true", GLEANER_REPOSITORY="/nowhere")
    assert done.returncode == 2 and done.stderr.startswith("error: MLFLOW_TRACKING_URI: expected a tracking server")


def test_settings_are_taken_as_they_are_and_the_password_reaches_git_alone(tmp_path: Path) -> None:
    origin = bare_repository(tmp_path / "git")
    secret = f'$(touch {tmp_path}/run) "q" a=b== '
    ask = "printf 'protocol=https\\nhost=example.com\\n\\n' | git credential fill; printf '%s' \"$KEY\" >&2; exit 3"
    settings = {"GLEANER_REPOSITORY": str(origin), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "KEY": secret}
    done = run_entry(tmp_path, "sh", "-c", ask, GIT_USERNAME="ada", GIT_PASSWORD=secret, **settings)
    assert done.returncode == 3  # that of the command
    assert f"username=ada\npassword={secret}\n" in done.stdout and done.stderr == secret
    assert not (tmp_path / "run").exists()
    kept = [path for path in (tmp_path / "volume").rglob("*") if path.is_file()]
    assert kept and not [path for path in kept if secret.encode() in path.read_bytes()]


def test_commits_of_a_night_and_of_a_person_are_merged_and_others_stop_the_night(tmp_path: Path) -> None:
    origin, work = bare_repository(tmp_path / "git"), tmp_path / "git" / "work"
    settings = {"GLEANER_REPOSITORY": str(origin), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    commit = "echo 1 > $0 && git add $0 && git commit -q -m $0"
    for name in ("params", "more"):
        git(work, "pull", "-q", str(origin), "main")
        (work / name).write_text("2")
        git(work, "add", "-A")
        git(work, "commit", "-q", "-m", name)
        pushes = f"git -C {work} push -q {origin} main && {commit}"  # while the night is at work
        done = run_entry(tmp_path, "sh", "-c", pushes, f"arrived-{name}", **settings)
        assert (done.returncode, done.stderr) == (0, "")
    names = ["git", "-C", str(origin), "ls-tree", "--name-only", "main"]
    listed = subprocess.run(names, capture_output=True, text=True, check=True)
    assert listed.stdout.split("\n") == ["arrived-more", "arrived-params", "file", "more", "params", ""]
    (tmp_path / "volume" / "project" / "file").write_text("changed here")
    git(work, "pull", "-q", str(origin), "main")
    (work / "file").write_text("changed there")
    git(work, "commit", "-q", "-am", "other")
    git(work, "push", "-q", str(origin), "main")
    done = run_entry(tmp_path, "touch", str(tmp_path / "begun"), **settings)
    assert done.returncode == 2 and "expected the branch to merge" in done.stderr and not (tmp_path / "begun").exists()


@pytest.mark.slow
def test_the_health_check_asks_the_prefect_server(prefect_server: str) -> None:
    words = re.search(r"HEALTHCHECK .* CMD (\[.*?\])\n", CONTAINER, re.DOTALL)[1].replace("\\\n", "")  # type: ignore[index]
    program, *arguments = json.loads(words)
    assert program == "python"
    codes = [
        subprocess.run([sys.executable, *arguments], env={"PREFECT_API_URL": url}, capture_output=True, check=False)
        for url in (prefect_server, "http://127.0.0.1:9/api")
    ]
    assert [done.returncode for done in codes] == [0, 1]
