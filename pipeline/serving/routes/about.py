"""What is served and how it is: /v1/labels, /v1/model, /healthz, /readyz, /metrics."""

from typing import Any

from fastapi import FastAPI
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from pipeline.serving import metrics
from pipeline.serving.admission import admit
from pipeline.serving.bodies import LabelsAnswer, ModelAnswer
from pipeline.serving.findings_file import FINDINGS_FILE
from pipeline.serving.routes.answers import to_response
from pipeline.serving.routes.description import describe
from pipeline.serving.service import Service


def add(app: FastAPI, service: Service) -> None:
    """Add the routes."""

    @app.get("/v1/labels", **describe(LabelsAnswer, 401, 429, 503))
    async def labels(request: Request) -> Response:
        """The labels of the served version; any key will do."""
        admit(service, request, None)
        version = service.version()
        return to_response(LabelsAnswer(version=version.bundle.number, labels=list(version.labels)))

    @app.get("/v1/model", **describe(ModelAnswer, 401, 429, 503))
    async def model(request: Request) -> Response:
        """The served version: its digest, the gate's verdict, how it became champion, its card; any key will do."""
        admit(service, request, None)
        return to_response(describe_model(service))

    @app.get("/healthz")
    async def health() -> Response:
        """Whether the worker runs."""
        return json_response({"status": "ok"})

    @app.get("/readyz", responses={503: {"description": "Nothing to answer with yet, or the service is stopping."}})
    async def ready() -> Response:
        """Whether the worker answers, with which version, and whether the registry is reachable."""
        is_ready = service.current is not None and not service.draining
        return json_response(describe_state(service), 200 if is_ready else 503)

    @app.get("/metrics")
    async def prometheus() -> Response:
        """Counts, times and versions for Prometheus."""
        folder = service.traffic.folder
        content, kind = metrics.render(None if folder is None else folder / FINDINGS_FILE)
        return Response(content, headers={"Content-Type": kind})


def describe_model(service: Service) -> ModelAnswer:
    """What is known of the served version. Raises ApiError if there is none yet."""
    version = service.version()
    bundle = version.bundle
    return ModelAnswer(
        model=bundle.model,
        version=bundle.number,
        digest=bundle.digest,
        labels=len(version.labels),
        max_tokens=version.classifier.max_length,
        gate=bundle.gate,
        verdict=bundle.verdict,
        card=bundle.card,
    )


def describe_state(service: Service) -> dict[str, Any]:
    """What /readyz says."""
    registry, current, shadow = service.handover.registry, service.current, service.shadow
    status = "stopping" if service.draining else "ready" if current else "waiting"
    return {
        "status": status,
        "version": current.bundle.number if current else None,
        "shadow": shadow.bundle.number if shadow else None,
        "registry": {"reachable": registry.reachable, "asked": registry.asked, "fault": registry.fault},
        "problem": service.problem(),
    }


def json_response(content: dict[str, Any], status: int = 200) -> Response:
    """A dictionary as JSON."""
    return Response(to_json(content), status, media_type="application/json")
