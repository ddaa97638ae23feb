"""The section on fairness checks: swapped terms, ranking by subgroup, augmentation and mitigation."""

from pathlib import Path

import pytest

from pipeline.core.params import read_yaml, to_yaml
from pipeline.core.stage import write_json
from tests.support.report_inputs import write_run
from tests.support.reporting import change_json, run_report


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_run(tmp_path)


def set_params(root: Path, **sections: dict[str, object]) -> None:
    """Change values of params.yaml."""
    content = read_yaml(root / "params.yaml")
    for section, values in sections.items():
        content[section] |= values
    (root / "params.yaml").write_text(to_yaml(content))


def test_flips_are_shown_by_axis_pair_and_term(root: Path) -> None:
    page, _ = run_report(root)
    assert "40 of 40 test rows hold a term" in page.text
    assert "the gate allows a flip rate of 0.100" in page.text
    assert "gender.en 40 0.083 0.051 to 0.257 0.035 yes" in page.text
    assert "gender.en women men 40 0.083 0.051 to 0.257 0.035 <script>alert(1)</script> 0.022 yes" in page.text
    assert "gender.en women =she 40 0.083" in page.text


def test_auc_and_augmentation_are_shown_by_group(root: Path) -> None:
    page, _ = run_report(root)
    assert "AUC of refund against the rest, lowest first; over all test rows 0.912" in page.text
    assert "customer business bpsn 30 40 0.765 0.711 to 0.822 yes" in page.text
    assert "back_translate: 2 of 28 rows speak of another group than the row they were made from, 1 no" in page.text
    assert "synonyms: 0 of" not in page.text


def test_each_mitigation_is_off_or_has_its_effect(root: Path) -> None:
    page, _ = run_report(root)
    assert "reweighing no –" in page.text and "offsets by class no –" in page.text
    mitigation = {"reweighing": True, "attributes": ["customer"], "offsets": {"budget": 0.01}, "penalty": 2.0}
    set_params(root, mitigation=mitigation, swaps={"variants": 1})
    page, _ = run_report(root)
    assert "reweighing yes label and group independent, for customer" in page.text
    assert "swapped copies yes 3 copies of gold rows, 0 of pool rows" in page.text
    assert "offsets by class yes gap 0.123 to 0.057 on the rows they were chosen on" in page.text
    assert "penalty in fine-tuning yes weight 2.000" in page.text


def test_the_page_says_what_could_not_be_measured(root: Path) -> None:
    data = root / "data"
    change_json(data / "counterfactual/metrics.json", axes=[])
    change_json(data / "fairness/metrics.json", auc={"class": None, "reason": "4 classes: name one"})
    write_json({"stereotype": {"score": None, "reason": "objective none"}}, data / "pretrain/metrics.json")
    page, _ = run_report(root)
    assert "No test row holds a term of data/identity_terms" in page.text
    assert "Not measured: 4 classes: name one." in page.text
    assert "Not measured: objective none." in page.text
    measured = {"score": 0.61, "score_low": 0.5, "score_high": 0.71, "pairs": 80}
    write_json({"stereotype": measured}, data / "pretrain/metrics.json")
    page, _ = run_report(root)
    assert "likelier in 0.610 of 80 pairs (0.500 to 0.710); 0.5 would be even." in page.text
