"""POST /v1/predict, /v1/explain and /v1/feedback."""

import time

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from pipeline.serving import feedback
from pipeline.serving.admission import admit, read_body
from pipeline.serving.answering import predict, time_left
from pipeline.serving.bodies import (
    ExplainAnswer,
    ExplainBody,
    FeedbackAnswer,
    FeedbackBody,
    PredictAnswer,
    PredictBody,
    parse,
)
from pipeline.serving.explaining import Explainer
from pipeline.serving.routes.description import describe
from pipeline.serving.service import Service

ASKED = (400, 401, 403, 408, 413, 422, 429, 503)


def add(app: FastAPI, service: Service) -> None:
    """Add the routes."""
    explainer = Explainer()
    timeout = service.params.serve.limits.timeout_seconds

    @app.post("/v1/predict", **describe(PredictAnswer, *ASKED, 504, body=PredictBody))
    async def predict_texts(request: Request) -> Response:
        """Label texts."""
        began = time.monotonic()
        caller = admit(service, request, "predict")
        body = parse(PredictBody, await read_body(service, request))
        return to_response(await predict(service, caller, body, time_left(began, timeout)))

    @app.post("/v1/explain", **describe(ExplainAnswer, *ASKED, 504, body=ExplainBody))
    async def explain_texts(request: Request) -> Response:
        """Label texts, with the words that made each label (LIME)."""
        began = time.monotonic()
        caller = admit(service, request, "explain")
        body = parse(ExplainBody, await read_body(service, request))
        return to_response(await explainer.explain(service, caller, body, time_left(began, timeout)))

    @app.post("/v1/feedback", **describe(FeedbackAnswer, *ASKED, 410, body=FeedbackBody))
    async def take_feedback(request: Request) -> Response:
        """Give the right label of a text; the next night takes it in as gold."""
        caller = admit(service, request, "feedback")
        body = parse(FeedbackBody, await read_body(service, request))
        return to_response(await feedback.take(service, caller, body))


def to_response(answer: BaseModel) -> Response:
    """An answer as JSON; ``top`` is left out where nobody asked for it."""
    content = answer.model_dump(exclude_none=False)
    for prediction in content.get("predictions", []):
        if prediction["top"] is None:
            del prediction["top"]
    return Response(to_json(content), media_type="application/json")
