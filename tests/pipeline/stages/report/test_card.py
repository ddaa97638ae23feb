"""The model card."""

from pathlib import Path

import pytest

from pipeline.core.params import read_yaml, to_yaml
from tests.support.report_inputs import write_run
from tests.support.reporting import change_json, run_report


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_run(tmp_path)


def test_the_card_has_the_front_matter_of_a_model_card(root: Path) -> None:
    change_json(root / "data/ingest/labels.json", descriptions={"refund": 'the customer\'s "R&D" <b>&lt;'})
    _, card = run_report(root)
    _, head, body = card.split("---\n", 2)
    (root / "head.yaml").write_text(head)
    front = read_yaml(root / "head.yaml")
    assert front["pipeline_tag"] == "text-classification"
    scores = front["model-index"][0]["results"][0]["metrics"]
    assert [score["value"] for score in scores] == [0.8725, 0.8634]
    assert "gleaner predict" in body
    assert "a\\|b & \\*c\\*" in body
    assert '- refund: the customer\'s "R&D" &lt;b>&amp;lt;\n' in body


def test_the_card_says_what_was_masked(root: Path) -> None:
    masks = "E-mail addresses, phone numbers, card numbers and IBANs were masked before training."
    params = read_yaml(root / "params.yaml")
    assert masks not in run_report(root)[1]
    params["ingest"]["mask_pii"] = True
    (root / "params.yaml").write_text(to_yaml(params))
    assert masks in run_report(root)[1] and "Presidio" not in run_report(root)[1]
    params["ingest"]["presidio"]["entities"] = ["PERSON", "US_SSN"]
    (root / "params.yaml").write_text(to_yaml(params))
    assert f"{masks}\nSo was what Presidio found as PERSON, US" in run_report(root)[1]


@pytest.mark.parametrize("from_scratch", [False, True])
def test_page_and_card_name_a_published_encoder_or_say_that_it_is_new(root: Path, from_scratch: bool) -> None:
    params = read_yaml(root / "params.yaml")
    params["encoder"] |= {"source": "hub", "name": "somebody/great-encoder"}
    params["pretrain"] |= {"objective": "mlm", "from_scratch": from_scratch}
    (root / "params.yaml").write_text(to_yaml(params))
    page, card = run_report(root)
    assert ("Its encoder is great-encoder." in page.text) != from_scratch
    assert ("Its encoder is a new one, trained on these texts alone." in page.text) == from_scratch
    assert ("base_model: somebody/great-encoder" in card) != from_scratch
    assert ("- Encoder: somebody/great-encoder (hub" in card) != from_scratch
    assert ("- Encoder: a new one, trained on these texts alone (mlm); the untouched one" in card) == from_scratch
