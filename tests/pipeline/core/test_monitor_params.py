"""What the section monitor refuses, in one line each."""

from typing import Any

import pytest

from pipeline.core.errors import UserError
from tests.support.serving import params_with


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hours": 400.0}, "monitor.hours: expected at most 24 times keep.days, 336, found 400"),
        ({"every_minutes": 5.0, "path": None}, "monitor.path: expected a folder where every_minutes is above 0"),
        ({"max_accuracy_drop": 1.5}, "monitor.max_accuracy_drop: expected"),
        ({"misuse": {"flood_factor": 0.5}}, "monitor.misuse.flood_factor: expected"),
        ({"keep": {"rows": 5}}, "monitor.keep.rows: "),
    ],
)
def test_a_wrong_value_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        params_with("monitor", **changes)
    assert message in str(error.value)


def test_limits_can_be_switched_off() -> None:
    assert params_with("monitor", max_accuracy_drop=None, max_abstained=None).monitor.max_abstained is None
