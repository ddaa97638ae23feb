"""The data of a version in S3, on moto's server: pushed when the version is registered, and pulled back from there."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from pipeline.core.errors import UserError
from tasks.registry import push_data
from tests.support.flow_project import (
    BIN,
    announce_server,
    count_versions,
    make_project,
    printed_outcomes,
    run_gleaner,
    tool_environment,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an S3 server on loopback with a bucket `models`; the credentials are in the environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket="models")
    yield url
    server.stop()


@pytest.fixture
def project(tmp_path: Path, prefect_server: str) -> Path:
    """A project of scripts."""
    root = make_project(tmp_path)
    announce_server(root, prefect_server)
    return root


def dvc(root: Path, *words: str) -> str:
    """Run DVC as a user does, and return what it prints."""
    return subprocess.run(
        [f"{BIN}/dvc", *words], cwd=root, env=tool_environment(root), check=True, capture_output=True, text=True
    ).stdout


def test_a_version_is_pushed_to_s3_and_pulled_back_when_cache_and_data_are_gone(project: Path, s3: str) -> None:
    dvc(project, "remote", "add", "--default", "shared", "s3://models/gleaner")
    dvc(project, "remote", "modify", "shared", "endpointurl", s3)
    done = run_gleaner(project, "run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert set(printed_outcomes(done).values()) == {"ran"} and count_versions(project) == 1
    assert json.loads(dvc(project, "status", "--cloud", "--json")) == {}
    assert not (project / "store").exists(), "pushed to the other remote"

    shutil.rmtree(project / ".dvc" / "cache")
    for folder in (project / "data").iterdir():
        if folder.name != "counterfactual":  # no stage of this project makes it
            shutil.rmtree(folder)
    for name in ("synonyms", "back"):
        (project / name).unlink()
    dvc(project, "pull")
    assert json.loads(dvc(project, "status", "--json")) == {}
    assert set(printed_outcomes(run_gleaner(project, "run")).values()) == {"cached"}
    assert not (project / ".loopback" / "refused").exists()


def test_a_missing_bucket_is_a_one_line_error(tmp_path: Path, s3: str) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "raw").write_text("1")
    for words in (
        ("init",),
        ("add", "raw"),
        ("remote", "add", "--default", "shared", "s3://nowhere/gleaner"),
        ("remote", "modify", "shared", "endpointurl", s3),
    ):
        dvc(tmp_path, *words)
    with pytest.raises(UserError) as error:
        push_data(tmp_path)
    assert re.fullmatch("registry.push: .* found: .* bucket does not exist.*; nothing is .*", str(error.value))
