"""The container file and the manifests of examples/deploy: what they name exists, and they agree with each other."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.core.params import read_yaml
from pipeline.serving.keys import FILE, FOLDER
from tests.test_architecture import HOUSE, ROOT, imports

DEPLOY = ROOT / "examples" / "deploy"
CONTAINER = (DEPLOY / "Containerfile").read_text()
MANIFESTS: dict[str, Any] = {one["kind"]: one for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}
LOADED = """
import json, sys
import cli.keys, cli.serve, cli.wiring.serving, pipeline.serving.worker, sklearn.linear_model
import tasks.serving.follow, tasks.registry.bundles, tasks.registry.lookup, tasks.registry.promotion_log
print(json.dumps([name for name in sys.modules]))
"""


def plain(distribution: str) -> str:
    """The name of a distribution as pip compares it."""
    return distribution.lower().replace("_", "-")


@pytest.mark.slow
def test_the_container_has_every_package_that_the_service_imports() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", LOADED], env=environment, capture_output=True, check=True)
    loaded = set(json.loads(done.stdout))
    assert not {"torch", "transformers", "dvc"} & loaded
    ours = [name for name in loaded if name in HOUSE]
    direct = {module for name in ours for module in imports(name, for_types=False) if module in loaded}
    listed = set(re.search(r"constraints.txt \\\n(.*?)\nCOPY", CONTAINER, re.DOTALL)[1].replace("\\", "").split())  # type: ignore[index]
    # Several distributions may share a module, such as google; protobuf and pydantic-core come with onnx and pydantic.
    brought = listed | {"gleaner", "setuptools", "protobuf", "pydantic-core"}
    owners = {module: {plain(name) for name in names} for module, names in packages_distributions().items()}
    assert [module for module in direct if module in owners and not owners[module] & brought] == []
    pinned = {plain(line.split("==")[0]) for line in (ROOT / "constraints.txt").open()}
    assert listed <= pinned


def test_the_manifests_agree_with_each_other() -> None:
    expected = "Deployment Service HorizontalPodAutoscaler PodDisruptionBudget ServiceMonitor NetworkPolicy"
    assert set(MANIFESTS) == set(expected.split())
    deployment = MANIFESTS["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert MANIFESTS["Service"]["spec"]["selector"] == labels == MANIFESTS["Service"]["metadata"]["labels"]
    for kind in ("PodDisruptionBudget", "ServiceMonitor"):
        assert MANIFESTS[kind]["spec"]["selector"]["matchLabels"] == labels
    assert MANIFESTS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    assert MANIFESTS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


def test_the_pod_has_what_the_service_needs() -> None:
    pod = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    volumes = {volume["name"] for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert set(mounts.values()) == volumes
    project = Path(re.search(r"WORKDIR (/project)", CONTAINER)[1])  # type: ignore[index]
    content = read_yaml(ROOT / "params.yaml")
    kept = (content["feedback"]["path"], content["monitor"]["path"], "data/scratch")
    for name in ("params.yaml", "dvc.yaml", FOLDER, *kept):
        assert str(project / name) in mounts
    assert f"{FILE}={FOLDER}/{FILE}" in (DEPLOY / "kubernetes.yaml").read_text()
    (port,) = container["ports"]
    assert container["args"][-1] == str(port["containerPort"]) and f"EXPOSE {port['containerPort']}" in CONTAINER
    probes = [container[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert probes == ["/readyz", "/readyz", "/healthz"]
    drain = content["serve"]["drain_seconds"]
    assert pod["terminationGracePeriodSeconds"] > drain + int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["securityContext"]["runAsUser"] == int(re.search(r"USER (\d+)", CONTAINER)[1])  # type: ignore[index]
    assert container["securityContext"]["readOnlyRootFilesystem"]
