"""`gleaner doctor` names each fault of a project or a machine, and the fix."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cli import doctor
from pipeline.commands.configure import configure
from pipeline.core.params import to_yaml
from pipeline.core.stage import write_json

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """A project with a git commit, a DVC remote, its data and no need of system packages."""
    from dvc.repo import Repo

    root = tmp_path_factory.mktemp("project")
    for name in ("params.yaml", "constraints.txt"):
        shutil.copyfile(ROOT / name, root / name)
    (root / "overlay.yaml").write_text("synonyms: {variants: 0}\nback_translate: {engine: none}\n")
    configure(root / "overlay.yaml", root / "params.yaml")
    (root / "data" / "demo").mkdir(parents=True)
    stages = {
        "ingest": {"cmd": "true", "deps": ["${ingest.path}"], "outs": ["data/ingest"]},
        "swaps": {"cmd": "true", "deps": ["data/ingest/train.parquet"]},
    }
    (root / "dvc.yaml").write_text(to_yaml({"stages": stages}))
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    with Repo.init(str(root)) as repo, repo.config.edit("repo") as config:
        config["remote"]["storage"] = {"url": str(root / "storage")}
        config["core"]["remote"] = "storage"
    author = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *author, "commit", "-q", "--allow-empty", "-m", "first"], cwd=root, check=True)
    return root


@pytest.fixture
def project(healthy, tmp_path):
    return Path(shutil.copytree(healthy, tmp_path / "project"))


def faults_by_name(root):
    return {finding.name: finding.fault for finding in doctor.diagnose(root) if finding.fault}


def set_params(root, text):
    (root / "overlay.yaml").write_text(text)
    configure(root / "overlay.yaml", root / "params.yaml")


def test_a_whole_project_has_nothing_missing(project, capsys):
    findings = [finding for finding in doctor.diagnose(project) if finding.name not in ("disk", "memory")]
    assert doctor.print_findings(findings) == 0, [finding.fault for finding in findings if finding.fault]
    assert "nothing is missing" in capsys.readouterr().out


def test_every_fault_of_params_is_listed(project):
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("variants: 0", "variants: -1").replace("lr: 2e-5", "lr: fast"))
    messages = [finding.fault for finding in doctor.diagnose(project) if finding.name == "params.yaml"]
    assert any(fault.startswith("synonyms.variants:") for fault in messages)
    assert any(fault.startswith("finetune.lr:") for fault in messages)


def test_a_package_of_another_version_is_named(project):
    constraints = project / "constraints.txt"
    pins = [line if not line.startswith("typer==") else "typer==0.0.1" for line in constraints.read_text().splitlines()]
    constraints.write_text("\n".join(pins))
    assert "typer: expected 0.0.1, found" in faults_by_name(project)["package"]


def test_a_version_that_no_import_finds_is_no_fault(project, tmp_path, monkeypatch):
    """Setuptools adds such old copies at the end of the path."""
    about = tmp_path / "late" / "typer-0.0.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: typer\nVersion: 0.0.1\n")
    monkeypatch.setattr("sys.path", [*sys.path, str(tmp_path / "late")])
    assert "package" not in faults_by_name(project)


def test_missing_data_encoder_and_system_packages_are_named(project, monkeypatch):
    set_params(
        project,
        "ingest: {path: data/none}\nencoder: {name: no_such_package}\nback_translate: {engine: apertium}\n",
    )
    monkeypatch.setenv("PATH", str(project))
    faults = faults_by_name(project)
    assert faults["input"].startswith(
        "ingest: expected data/none, found none; put it there, `git checkout -- data/none`"
    )
    assert "make setup" in faults["encoder"]
    assert "apt-get install apertium-eng-spa" in faults["Apertium"]


def test_a_model_that_presidio_needs_and_that_is_missing_is_named(project):
    set_params(project, "ingest: {mask_pii: true, presidio: {entities: [US_SSN]}}\n")
    (masks,) = [finding for finding in doctor.diagnose(project) if finding.name == "PII masks"]
    assert masks.state == "the built-in ones, and US_SSN by Presidio" and not masks.fault
    set_params(project, "ingest: {presidio: {entities: [PERSON], model: en_no_such_model}}\n")
    assert faults_by_name(project)["PII masks"].startswith(
        "ingest.presidio.model: expected an installed spaCy pipeline"
    )


def test_wrong_weights_are_found(project):
    set_params(project, f"encoder: {{sha256: '{'0' * 64}'}}\n")
    assert "encoder.sha256" in faults_by_name(project)["encoder"]


def test_a_missing_git_dvc_or_remote_is_named_with_the_fix(project):
    (project / ".dvc" / "config").write_text("")
    assert "dvc remote add" in faults_by_name(project)["DVC"]
    shutil.rmtree(project / ".git")
    shutil.rmtree(project / ".dvc")
    faults = faults_by_name(project)
    assert "git init" in faults["git"] and "expected a DVC repository" in faults["DVC"]


@pytest.fixture
def no_proxies(monkeypatch):
    """A patch of the environment, in which no proxy is set."""
    names = [name + end for name in ("http_", "https_", "all_", "no_") for end in ("proxy",)]
    for name in [*names, *map(str.upper, names), "MLFLOW_TRACKING_URI", "PREFECT_API_URL"]:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_dead_proxy_is_named_without_its_password(no_proxies):
    no_proxies.setenv("HTTPS_PROXY", "http://user:secret@127.0.0.1:9")
    (finding,) = doctor.check_proxies()
    assert finding.name == "HTTPS_PROXY" and finding.fault.startswith("expected a proxy at http://127.0.0.1:9, found")


def test_a_server_behind_a_proxy_and_one_on_loopback_are_told_apart(no_proxies):
    assert list(doctor.check_servers()) == []
    no_proxies.setenv("HTTP_PROXY", "http://proxy.example:3128")
    no_proxies.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example:5000")
    no_proxies.setenv("PREFECT_API_URL", "http://127.0.0.1:4200/api")
    prefect, mlflow = doctor.check_servers()
    assert "add mlflow.example to NO_PROXY" in mlflow.state and "export NO_PROXY=127.0.0.1" in prefect.state
    no_proxies.setenv("NO_PROXY", "127.0.0.1,mlflow.example")
    assert list(doctor.check_servers()) == []


@pytest.mark.parametrize(
    ("labels", "teacher_doubts", "hint"),
    [
        (["LABEL_0", "LABEL_1"], None, "names such as 'LABEL 0' say nothing about a text"),
        (["sport", "world"], "by names alone, more than 95% of the pool is of one class", "more than 95%"),
        (["sport", "world"], "", "they say what texts are about"),
    ],
)
def test_classes_that_need_a_description_are_told_and_are_no_fault(project, labels, teacher_doubts, hint):
    for stage in ("ingest", "pseudo_label"):
        (project / "data" / stage).mkdir(parents=True)
    write_json({"labels": labels, "descriptions": {}}, project / "data" / "ingest" / "labels.json")
    if teacher_doubts is not None:
        write_json({"names_doubted": teacher_doubts}, project / "data" / "pseudo_label" / "metrics.json")
    (finding,) = [finding for finding in doctor.diagnose(project) if finding.name == "class names"]
    assert hint in finding.state and not finding.fault
    assert ("ingest.labels.descriptions" in finding.state) is (hint != "they say what texts are about")
