"""The labelling config for Label Studio."""

import xml.etree.ElementTree as ET

from pipeline.labelling.label_studio import labelling_config


def test_labels_are_escaped_in_the_labelling_config() -> None:
    root = ET.fromstring(labelling_config(['<a> & "b"', "c"], {"c": "it's <c>"}))
    assert [(choice.get("value"), choice.get("hint")) for choice in root.iter("Choice")] == [
        ('<a> & "b"', None),
        ("c", "it's <c>"),
    ]
