"""`gleaner predict` while `export` is at work: the old bundle answers until the new one is whole."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.__main__ import main
from cli.served_bundle import served_bundle
from pipeline.core.params import to_yaml
from tests.support.flow_project import BIN, tool_environment
from tests.support.word_bundle import build

WAITING = "mkdir -p data/export && while [ -e wait ]; do sleep 0.1; done && cp -r given data/export/bundle"
BUNDLE = Path("data", "export", "bundle")


def predicted(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """The label that `gleaner predict` gives to a text, and what it prints on stderr about the bundle."""
    Path("texts.csv").write_text("text\nmoney\n")
    monkeypatch.setattr(sys, "argv", ["gleaner", "predict", "texts.csv"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    printed = capfd.readouterr()
    about_bundle = [line for line in printed.err.splitlines() if "bundle" in line]
    return printed.out.splitlines()[1].split(",")[1], "\n".join(about_bundle)


@pytest.mark.slow
def test_the_old_bundle_serves_until_the_new_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    build(tmp_path / "given", {"money": [5, 0]}, ["refund", "delivery"])
    stage = {"cmd": WAITING, "deps": ["given"], "outs": [BUNDLE.as_posix()]}
    (tmp_path / "dvc.yaml").write_text(to_yaml({"stages": {"export": stage}}))
    (tmp_path / "params.yaml").touch()
    subprocess.run([f"{BIN}/dvc", "init", "-q", "--no-scm"], check=True)
    env = tool_environment(tmp_path)
    subprocess.run([f"{BIN}/dvc", "repro", "-q"], check=True, env=env)
    assert predicted(monkeypatch, capfd) == ("refund", "")

    shutil.rmtree("given")
    build(tmp_path / "given", {"money": [0, 5]}, ["refund", "parcel"])
    Path("wait").touch()
    export = subprocess.Popen([f"{BIN}/dvc", "repro", "-q"], env=env)
    while BUNDLE.exists() and export.poll() is None:
        time.sleep(0.05)
    label, message = predicted(monkeypatch, capfd)
    assert label == "refund" and message.startswith("data/export/bundle: not there, perhaps because export is at work")
    Path("wait").unlink()
    assert export.wait(timeout=60) == 0
    assert predicted(monkeypatch, capfd) == ("parcel", "")


def test_without_a_record_of_it_a_missing_bundle_is_missing(tmp_path: Path) -> None:
    with served_bundle(tmp_path, tmp_path / BUNDLE) as folder:
        assert folder == tmp_path / BUNDLE
