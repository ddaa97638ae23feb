"""Joining a Ray cluster: what is missing or wrong is said in a line, and no cluster is joined without its token."""

import os
import socket
import subprocess
import sys

import pytest

from pipeline.compute.ray_cluster import connect
from pipeline.core.errors import UserError
from pipeline.core.params import Compute

RAY = {"engine": "ray", "address": "auto", "cpus_per_worker": 1, "pretrain_workers": 1, "finetune_workers": 1}


def test_without_ray_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("pipeline.compute.ray_cluster.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"compute.engine: expected the package ray, found none; install it with"):
        connect(Compute(**RAY))


def test_nothing_imports_ray_unless_params_ask_for_it():
    modules = "pipeline.models.embeddings, pipeline.experiments.ablation_trials"
    code = f"import sys, {modules}; sys.exit('ray' in sys.modules)"
    env = os.environ | {"PYTHONPATH": os.getcwd()}
    assert subprocess.run([sys.executable, "-c", code], env=env, check=False).returncode == 0


def test_where_no_cluster_answers_the_message_says_how_to_start_one():
    with pytest.raises(UserError, match=r"compute.address: expected a Ray cluster at 127.0.0.1:1, found Conn"):
        connect(Compute(**RAY | {"address": "127.0.0.1:1"}))


@pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "head", ":6379", "head:six", "head:99999"])
def test_an_address_of_another_form_is_refused(address):
    with pytest.raises(UserError, match="compute.address: expected auto, local or host:port, found"):
        connect(Compute(**RAY | {"address": address}))


JOIN = """
import sys
from pipeline.compute.ray_cluster import connect
from pipeline.core.errors import UserError
from pipeline.core.params import Compute
fields = {"engine": "ray", "cpus_per_worker": 1, "pretrain_workers": 1, "finetune_workers": 1}
try:
    connect(Compute(address=sys.argv[1], **fields))
except UserError as error:
    print(error)
"""


def test_a_cluster_is_joined_with_a_token_only(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        env |= {"PYTHONPATH": os.getcwd(), "HOME": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", JOIN, address], env=env, capture_output=True, text=True, check=False, timeout=120
        )
    assert done.stdout.startswith(f"compute.address: expected the token of the cluster at {address}, found"), done


@pytest.mark.slow
def test_a_cluster_of_this_process_has_a_token_and_is_none_that_runs_already(tmp_path):
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    env |= {"PYTHONPATH": os.getcwd(), "HOME": str(tmp_path), "RAY_ADDRESS": "127.0.0.1:1"}
    code = f"import os\nos.umask(0o077)\n{JOIN}\nimport ray\nprint(ray.is_initialized())"
    done = subprocess.run(
        [sys.executable, "-c", code, "local"], env=env, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout == "True\n", done.stderr
    assert (tmp_path / ".ray" / "auth_token").stat().st_mode & 0o777 == 0o600
