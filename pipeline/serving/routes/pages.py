"""The pages of the service: / to try a text, /docs to read the API. Both load nothing from elsewhere."""

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from markupsafe import Markup
from starlette.responses import HTMLResponse

from pipeline.pages.environment import environment, style
from pipeline.serving.service import Service

HERE = Path(__file__).parent
Schema = dict[str, Any]


@dataclass(frozen=True)
class RouteDescription:
    """A route as the page shows it; ``takes`` and ``gives`` are its JSON with types in place of values."""

    method: str
    path: str
    about: str
    takes: str
    gives: str
    refusals: list[tuple[str, str]]


def add(app: FastAPI, service: Service) -> None:
    """Add the routes."""

    @app.get("/", include_in_schema=False)
    async def try_page() -> HTMLResponse:
        """A page to try a text in."""
        return page(
            "page.html.j2", asks_key=not service.settings.is_open, most=service.params.serve.limits.text_characters
        )

    @app.get("/docs", include_in_schema=False)
    async def docs_page() -> HTMLResponse:
        """The description of the API."""
        described = app.openapi()
        title, description = described["info"]["title"], described["info"]["description"]
        return page("docs.html.j2", title=title, description=description, routes=describe_routes(described))


def page(template: str, **values: Any) -> HTMLResponse:
    """A page that may run our script, ask this service, and nothing else."""
    script = own_file("page.js")
    rendered = (
        environment(HERE)
        .get_template(template)
        .render(style=Markup(style()), own_style=Markup(own_file("page.css")), script=Markup(script), **values)
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(rendered, headers={"Content-Security-Policy": policy})


@cache
def own_file(name: str) -> str:
    """The content of a file beside this module."""
    return (HERE / name).read_text(encoding="utf-8")


def describe_routes(described: Schema) -> list[RouteDescription]:
    """Every route of an OpenAPI description, in its order."""
    schemas = described.get("components", {}).get("schemas", {})
    routes = []
    for path, methods in described["paths"].items():
        for method, route in methods.items():
            takes = json_schema(route.get("requestBody", {}))
            gives = json_schema(route["responses"].get("200", {}))
            refusals = [(code, answer["description"]) for code, answer in route["responses"].items() if code != "200"]
            about = route.get("description", "")
            routes.append(
                RouteDescription(
                    method.upper(), path, about, sketch(takes, schemas), sketch(gives, schemas), sorted(refusals)
                )
            )
    return routes


def json_schema(body: Schema) -> Schema:
    """The schema of a body or an answer in JSON; empty if there is none."""
    schema: Schema = body.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def sketch(schema: Schema, schemas: Schema) -> str:
    """JSON of a schema with the types in place of values; empty for none."""
    return json.dumps(outline(schema, schemas), indent=2, ensure_ascii=False) if schema else ""


def outline(schema: Schema, schemas: Schema) -> Any:
    """A value that looks like what the schema allows."""
    if "$ref" in schema:
        return outline(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas)
    if "anyOf" in schema:
        options = [outline(option, schemas) for option in schema["anyOf"]]
        plain = all(isinstance(option, str) for option in options)
        return " or ".join(options) if plain else options[0]
    if schema.get("type") == "array":
        return [outline(schema.get("items", {}), schemas)]
    if "properties" in schema:
        return {name: outline(field, schemas) for name, field in schema["properties"].items()}
    return str(schema.get("type", "any"))
