"""Nights with `promotion.approval: required`, and after somebody deleted the model in MLflow."""

from pathlib import Path

import pytest

from flows.outcomes.night import print_nights, read_nights
from flows.outcomes.promotion import print_waiting
from pipeline.core.params import load_params
from tasks import registry
from tasks.registry import nights, promotion_log
from tests.support import month_project
from tests.support.flow_project import announce_server
from tests.support.hooks import webhook
from tests.support.real_project import run_tool, set_params

MODEL = "gleaner-demo"


@pytest.mark.slow
def test_a_night_says_that_a_version_waits_until_a_person_has_settled_it(
    tmp_path: Path, prefect_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = month_project.make_project(tmp_path)
    announce_server(root, prefect_server)
    set_params(root, promotion={"approval": "required"})
    with webhook() as (address, posted):
        set_params(root, notify={"to": [f"json://{address}/x"], "on": ["waiting"]})
        done = run_tool(root, "gleaner", "retrain")
    assert done.returncode == 0 and done.stdout.startswith("waiting version 1\n"), done.stdout + done.stderr
    line = "version 1 waits for approval until "
    settle = "then `gleaner approve 1 --by NAME --reason TEXT`"
    assert posted[0]["title"] == f"{MODEL}: waiting version 1"
    assert line in posted[0]["message"] and settle in posted[0]["message"]
    print_nights(read_nights(root))
    print_waiting(root)
    printed = capsys.readouterr().out
    assert "waiting   version 1" in printed and line in printed and settle in printed
    assert nights.current_champion(root, load_params(root / "params.yaml")) is None

    approved = run_tool(root, "gleaner", "approve", "1", "--by", "Ada", "--reason", "read the report")
    assert approved.returncode == 0, approved.stdout + approved.stderr
    assert approved.stdout.endswith(f"Approved: {MODEL} version 1 is champion, the first one\n")
    assert run_tool(root, "gleaner", "retrain").stdout.startswith("skipped\n")

    client = registry.connect(root)
    client.delete_registered_model(MODEL)
    again = run_tool(root, "gleaner", "retrain")
    assert again.returncode == 0 and again.stdout.startswith("waiting version 1\n"), again.stdout + again.stderr
    actions = [(entry.action, entry.version) for entry in promotion_log.read(client, MODEL).entries]
    assert actions == [("awaiting approval", "1"), ("approve", "1"), ("removed", "1"), ("awaiting approval", "1")]
