"""Alert rules and dashboard of examples/deploy: every metric and label that they name is in a service's /metrics."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from pipeline.policies.monitoring.look import look_at
from pipeline.serving.findings_file import FINDINGS_FILE, write_look
from pipeline.serving.handover import Handover, write_handover
from tests.support.serving import WORDS, named, params_with, running, start_service
from tests.support.traffic import limits, monitor, reference, traffic
from tests.test_architecture import ROOT

DEPLOY = ROOT / "examples" / "deploy"
RULES = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus-rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
TARGETS = [target for panel in DASHBOARD["panels"] for target in panel["targets"]]
QUERIES = [rule["expr"] for rule in RULES] + [target["expr"] for target in TARGETS]
METRIC = re.compile(r"\b(gleaner_[a-z_]+)(?:\{([^}]*)\})?")
AGGREGATION = re.compile(r"by \(([^)]*)\) \((?:\w+\()?(gleaner_[a-z_]+)")
CODES = {  # of refusals
    code
    for path in (ROOT / "pipeline" / "serving").rglob("*.py")
    for code in re.findall(r'ApiError\(\s*\d{3},\s*"(\w+)"', path.read_text())
}


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, set[str]]]]:
    """The metrics of a service that answered, refused, was corrected, has a shadow and was looked at.

    It maps each name of a sample to its labels, and each label to its values.
    """
    root = tmp_path_factory.mktemp("deploy")
    service = start_service(root, params_with(shadow={"share": 1.0}))
    bundles = named(root / "second", WORDS, "3"), named(root / "third", WORDS | {"money": [9.0, 0.0]}, "4")
    write_handover(service.settings.handover, Handover(*bundles, versions=("3", "4")))
    folder = root / "data" / "traffic"
    window = (datetime(2026, 12, 1, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC))
    seen = traffic(1, 120, foreign=1.0)
    given = {str(id_): "refund" for id_ in seen.ids}
    look = look_at(seen, given, reference(150), monitor(), limits(max_rows=100), ("3", "d"), window)
    folder.mkdir(parents=True)
    write_look(folder / FINDINGS_FILE, look)
    with running(service, "admin") as client:
        client.post("/v1/predict", json={"texts": ["parcel", "money"]})
        client.post("/v1/predict", content=b"no json")
        client.post("/v1/feedback", json={"text": "money", "label": "refund", "version": "3"})
        service.traffic.write()
        text = client.get("/metrics").text
        while "gleaner_shadow_disagreements_total{" not in text:
            text = client.get("/metrics").text
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for name, value in sample.labels.items():
                labels.setdefault(name, set()).add(value)
    yield found


@pytest.mark.parametrize("query", QUERIES)
def test_every_metric_and_label_of_a_query_is_exposed(query: str, exposed: dict[str, dict[str, set[str]]]) -> None:
    named_metrics = METRIC.findall(query)
    assert named_metrics and query.count("(") == query.count(")") and query.count("{") == query.count("}")
    for name, selectors in named_metrics:
        assert name in exposed, f"{name} is in no /metrics"
        for label, operator, value in re.findall(r'(\w+)(=~|=)"([^"]*)"', selectors):
            assert label in exposed[name], f"{name} has no label {label}"
            if label in ("finding", "path", "code"):
                known = exposed[name][label] | (CODES if label == "code" else set())
                assert (set(value.split("|")) if operator == "=~" else {value}) <= known
    aggregated = AGGREGATION.findall(query)
    assert len(aggregated) == query.count("by (")
    for labels, name in aggregated:
        assert set(labels.split(", ")) <= set(exposed[name]), f"{name} has not all of {labels}"


@pytest.mark.parametrize("target", [target for target in TARGETS if "legendFormat" in target])
def test_a_legend_names_labels_that_remain(target: dict[str, str], exposed: dict[str, dict[str, set[str]]]) -> None:
    query = target["expr"]
    grouped = [label for labels, _ in AGGREGATION.findall(query) for label in labels.split(", ")]
    remaining = set(grouped) if "sum" in query or grouped else set(exposed[METRIC.findall(query)[0][0]])
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= remaining


def test_rules_and_panels_are_complete_and_name_only_labels_that_remain() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["severity"] in ("warning", "critical") and rule["annotations"]["summary"]
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            assert label in re.findall(r"by \(([^)]*)\)", rule["expr"])[-1].split(", ")
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids) and all(panel["title"] and panel["targets"] for panel in DASHBOARD["panels"])
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert {panel["datasource"]["uid"] for panel in DASHBOARD["panels"]} == {f"${{{name}}}" for name in variables}


def test_every_metric_of_the_docs_is_exposed(exposed: dict[str, dict[str, set[str]]]) -> None:
    page = (Path(ROOT) / "docs" / "how-to" / "serve-a-version.md").read_text()
    for name in re.findall(r"`(gleaner_[a-z_]+)", page):
        assert name in exposed or f"{name}_count" in exposed, name
