"""How a route is described in the API's own description (OpenAPI): bodies, answers, refusals, keys."""

from typing import Any

from pydantic import BaseModel

from pipeline.serving.bodies import ErrorAnswer

BEARER = {"bearer": {"type": "http", "scheme": "bearer", "description": "A key of `gleaner keys create`."}}
REFUSALS = {
    400: "What is no JSON.",
    401: "No valid key.",
    403: "A key of another scope.",
    408: "A body that came too slowly.",
    410: "A prediction that was forgotten.",
    413: "Too many texts, or too long ones.",
    415: "Another content type.",
    422: "JSON that does not fit.",
    429: "Too often, or a full queue; the header Retry-After says when to come back.",
    503: "Nothing to answer with yet.",
    504: "No answer in time.",
}


def describe(
    kind: type[BaseModel] | None, *refusals: int, body: type[BaseModel] | dict[str, Any] | None = None
) -> dict[str, Any]:
    """The arguments of a route that describe it; ``kind`` is its answer, ``body`` what it takes."""
    responses: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorAnswer, "description": REFUSALS[status]} for status in refusals
    }
    if kind is not None:
        responses[200] = {"model": kind, "description": "The answer."}
    extra: dict[str, Any] = {}
    if 401 in refusals:
        extra["security"] = [{"bearer": []}]
    if body is not None:
        schema = body if isinstance(body, dict) else body.model_json_schema()
        extra["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {"responses": responses, "openapi_extra": extra, "response_model": None}
