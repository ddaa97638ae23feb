"""MLflow's own paths, so that clients of `mlflow models serve` need no change but the key."""

import time
from importlib.metadata import version as installed_version

from fastapi import FastAPI
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from pipeline.serving import mlflow_contract
from pipeline.serving.admission import admit, read_body, require_limits
from pipeline.serving.answering import remember, score, time_left, to_predictions
from pipeline.serving.routes.description import describe
from pipeline.serving.service import Service

BODY = {
    "type": "object",
    "description": "One of dataframe_split, dataframe_records, instances and inputs, with the column text.",
    "properties": {"dataframe_records": {"type": "array", "items": {"type": "object"}}},
}


def add(app: FastAPI, service: Service) -> None:
    """Add the routes."""
    timeout = service.params.serve.limits.timeout_seconds

    @app.post("/invocations", **describe(None, 400, 401, 403, 408, 413, 415, 429, 503, 504, body=BODY))
    async def invocations(request: Request) -> Response:
        """Label texts as `mlflow models serve` does."""
        began = time.monotonic()
        caller = admit(service, request, "predict")
        content = await read_body(service, request)
        texts = mlflow_contract.read_texts(content, request.headers.get("content-type", ""))
        require_limits(service, texts)
        if not texts:
            return Response(b'{"predictions": []}', media_type="application/json")
        scored = await score(service, texts, time_left(began, timeout))
        predictions = to_predictions(service, scored)
        await remember(service, caller, texts, predictions, scored)
        labels = [prediction.label for prediction in predictions]
        confidences = [prediction.confidence for prediction in predictions]
        abstains = scored.version.classifier.abstention is not None
        reasons = [prediction.reason for prediction in predictions] if abstains else None
        rows = mlflow_contract.to_rows(labels, confidences, reasons, scored.version.bundle.number)
        return Response(to_json(rows), media_type="application/json")

    @app.get("/ping")
    async def ping() -> Response:
        """Whether the worker answers, as MLflow says it."""
        return Response("\n", 200 if service.current else 404, media_type="application/json")

    @app.get("/version")
    async def mlflow_version() -> Response:
        """The version of MLflow beside which the served versions are registered."""
        return Response(installed_version("mlflow"), media_type="application/json")
