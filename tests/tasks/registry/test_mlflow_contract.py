"""The service answers MLflow's /invocations as `mlflow models serve` does: MLflow's own code is the reference."""

import json
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server
from starlette.testclient import TestClient

from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.serving.app import build_app
from pipeline.serving.handover import Handover, NamedBundle, write_handover
from pipeline.serving.service import Settings, build_service
from tasks import registry
from tasks.registry.version_bundle import find_bundle
from tests.support.serving import params_with

JSON, CSV = "application/json", "text/csv"
REQUESTS: list[tuple[str, Any]] = [
    (JSON, {"dataframe_split": {"columns": ["text"], "data": [["money"], ["parcel"]]}}),
    (JSON, {"dataframe_split": {"index": [5], "columns": ["n", "text"], "data": [[1, "money"]]}}),
    (JSON, {"dataframe_split": {"columns": ["other"], "data": [["money"]]}}),
    (JSON, {"dataframe_split": {"columns": ["text"], "data": [["money", "parcel"]]}}),
    (JSON, {"dataframe_split": {"columns": ["text"], "data": []}}),
    (JSON, {"dataframe_records": [{"text": "money"}, {"text": "parcel"}]}),
    (JSON, {"dataframe_records": [{"text": "money", "more": 1}], "params": {}}),
    (JSON, {"dataframe_records": [{"more": 1}]}),
    (JSON, {"dataframe_records": [{"text": 3}]}),
    (JSON, {"dataframe_records": [{"text": None}]}),
    (JSON, {"dataframe_records": [{"text": ""}]}),
    (JSON, {"instances": [{"text": "money"}, {"text": "parcel"}]}),
    (JSON, {"instances": ["money", "parcel"]}),
    (JSON, {"instances": [["money"], ["parcel"]]}),
    (JSON, {"inputs": {"text": ["money", "parcel"]}}),
    (JSON, {"inputs": {"text": "money"}}),
    (JSON, {"inputs": [{"text": "money"}]}),
    (JSON, {"inputs": ["money", "parcel"]}),
    (JSON, {"inputs": "money"}),
    (JSON, {"texts": ["money"]}),
    (JSON, {"inputs": ["money"], "instances": ["money"]}),
    (JSON, ["money"]),
    (JSON, "money"),
    (JSON, b"{"),
    (CSV, b"text\nmoney\nparcel\n"),
    (CSV, b'n,text\n1,"money, please"\n'),
    (CSV, b"other\nmoney\n"),
    ("application/json; charset=utf-8", {"instances": [{"text": "money"}]}),
    ("application/json; charset=latin-1", {"instances": [{"text": "money"}]}),
    ("text/plain", b"money"),
]


@pytest.mark.slow
def test_every_request_gets_what_mlflow_answers(
    project: Path, local: Params, opened: registry.Run, tmp_path: Path
) -> None:
    version = registry.register_or_reuse(project, local, opened)
    loaded = mlflow.pyfunc.load_model(f"models:/{version.model}/{version.number}")
    bundle = find_bundle(project, version.model)
    assert bundle
    (tmp_path / "inbox" / "feedback").mkdir(parents=True)
    settings = Settings(tmp_path, tmp_path / "handover.json", is_open=True)
    digest = registry.connect(project).get_model_version(version.model, version.number).tags["gleaner.manifest"]
    named = NamedBundle(str(bundle.folder), digest, bundle.model, bundle.number)
    write_handover(settings.handover, Handover(named))
    with TestClient(build_app(build_service(settings, params_with()))) as client:
        for kind, body in REQUESTS:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            response = client.post("/invocations", content=content, headers={"Content-Type": kind})
            status, answer = mlflow_answer(loaded, kind, content)
            assert response.status_code == status, (kind, body, response.text, answer)
            if status == 200:
                assert response.json() == json.loads(answer), (kind, body)
        assert (client.get("/ping").status_code, client.get("/ping").text) == (200, "\n")
        assert client.get("/version").text == mlflow.__version__


def mlflow_answer(loaded: Any, kind: str, content: bytes) -> tuple[int, str]:
    """The status and the text that MLflow's scoring server answers."""
    try:
        answer = scoring_server.invocations(content, kind, loaded, loaded.metadata.get_input_schema())
    except (MlflowException, UserError) as error:
        return 400, str(error)
    return answer.status, answer.response
