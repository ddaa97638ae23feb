"""A look at traffic that fails is a remark of the night, whatever it failed by."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from prefect.states import Failed, State

from flows import retrain
from flows.outcomes.night import Night
from pipeline.core.errors import UserError, WithheldError
from pipeline.core.params import load_params
from pipeline.labelling.arrivals import ReadArrivals
from tasks import traffic
from tasks.registry.nights import Champion
from tests.test_architecture import ROOT

NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "error",
    [UserError("monitor.path: wrong"), WithheldError("ArrowInvalid; its message is in crash.txt"), OSError("no space")],
)
def test_a_failed_look_ends_no_night(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> State:
        return Failed(data=error)

    monkeypatch.setattr(traffic, "look_at_champion", fail)
    night, champion = Night(NOW), Champion("1", ReadArrivals(), NOW)
    assert retrain.look_at_traffic(Path("root"), load_params(ROOT / "params.yaml"), night, champion) is None
    assert night.remarks == [f"the traffic was not looked at: {error}"]
