"""The test rows that are explained: a sample spread over the predicted classes, and the surest errors."""

import numpy as np
import pandas as pd
import pytest

from pipeline.core.errors import UserError
from pipeline.stages.explain import rows


def test_the_sample_is_spread_over_the_predicted_classes_and_the_errors_are_the_surest() -> None:
    predicted = ["a"] * 40 + ["b"] * 5 + ["c"] * 2
    test = pd.DataFrame(
        {"id": [f"{i:02}" for i in range(47)], "text": "two words", "predicted": predicted, "label": "a"}
    )
    test = test.assign(confidence=np.linspace(0.2, 0.9, 47), wrong=test["predicted"].ne("a"))
    assert rows.draw_sample(test, 12, seed=0)["predicted"].value_counts().to_dict() == {"a": 5, "b": 5, "c": 2}
    assert rows.draw_sample(test, 12, seed=0)["id"].tolist() == rows.draw_sample(test, 12, seed=0)["id"].tolist()
    assert rows.surest_errors(test, 3)["id"].tolist() == ["46", "45", "44"]
    with pytest.raises(UserError, match="two words and more"):
        rows.draw_sample(test.assign(text="one"), 12, seed=0)
