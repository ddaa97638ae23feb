"""The style sheet of the pages: contrast of texts and figures, light and dark."""

import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2) of #rrggbb."""
    parts = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_contrast_with_their_background(scheme: str) -> None:
    """WCAG 2.2, level AA: 4.5 for text, 3 for the parts of a figure."""
    style = (ROOT / "pipeline/pages/style.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", light))
    if scheme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#\w{6})", dark))

    def contrast(front: str, back: str) -> float:
        pair = sorted((luminance(colours[front]), luminance(colours[back])), reverse=True)
        return (pair[0] + 0.05) / (pair[1] + 0.05)

    for front in ("ink", "quiet", "accent"):
        assert min(contrast(front, "paper"), contrast(front, "wash")) >= 4.5, front
    for name in ("bad", "warn", "good"):
        assert contrast(name, f"{name}-wash") >= 4.5, name
        assert contrast(name, "paper") >= 4.5, name
    assert contrast("accent", "track") >= 3 and contrast("whisker", "paper") >= 3
