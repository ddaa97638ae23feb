"""The graph of dvc.yaml as boxes and lines: stages in layers from top to bottom, without edges that others imply."""

from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 132, 34  # of a box, in SVG units
GAP_X, GAP_Y = 20, 34


@dataclass(frozen=True)
class Box:
    """A stage, and the upper left corner of its box in SVG units."""

    stage: str
    x: int
    y: int


@dataclass(frozen=True)
class Graph:
    """Boxes and lines in an SVG of ``width`` by ``height`` units; ``lines`` are SVG path descriptions."""

    boxes: list[Box]
    lines: list[str]
    edges: list[tuple[str, str]]
    width: int
    height: int


def upstream_stages(pipeline: dict[str, Any]) -> dict[str, set[str]]:
    """Stage -> the stages whose outputs it reads; ``pipeline`` is the content of dvc.yaml."""
    stages = pipeline["stages"]
    upstream: dict[str, set[str]] = {}
    for name, stage in stages.items():
        paths = [dep.split("/") for dep in stage.get("deps", [])]
        read = {path[1] for path in paths if path[0] == "data" and len(path) > 2 and path[1] in stages}
        upstream[name] = read - {name}
    return upstream


def layers(upstream: dict[str, set[str]]) -> dict[str, int]:
    """Stage -> its layer: one below the lowest of the stages that it reads, and 0 for a stage that reads none."""

    def layer(stage: str) -> int:
        return 1 + max(map(layer, upstream[stage]), default=-1)

    return {stage: layer(stage) for stage in upstream}


def transitive_reduction(upstream: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The edges that no longer path implies, as (upstream stage, downstream stage)."""

    def ancestors(stage: str) -> set[str]:
        return upstream[stage].union(*map(ancestors, upstream[stage]))

    return [
        (source, stage)
        for stage, direct in upstream.items()
        for source in sorted(direct)
        if not any(source in ancestors(other) for other in direct - {source})
    ]


def lay_out(pipeline: dict[str, Any]) -> Graph:
    """The stages of dvc.yaml as a Graph; each layer is centred and keeps the order of the file."""
    upstream = upstream_stages(pipeline)
    layer_of = layers(upstream)
    rows = [[stage for stage in upstream if layer_of[stage] == layer] for layer in range(max(layer_of.values()) + 1)]
    width = max(map(len, rows)) * (WIDTH + GAP_X) + GAP_X
    boxes = []
    for layer, row in enumerate(rows):
        left = (width - len(row) * WIDTH - (len(row) - 1) * GAP_X) // 2
        boxes += [Box(stage, left + i * (WIDTH + GAP_X), 2 + layer * (HEIGHT + GAP_Y)) for i, stage in enumerate(row)]
    edges = transitive_reduction(upstream)
    box_of = {box.stage: box for box in boxes}
    lines = [connect(box_of[source], box_of[target]) for source, target in edges]
    return Graph(boxes, lines, edges, width, len(rows) * (HEIGHT + GAP_Y) - GAP_Y + 4)


def connect(source: Box, target: Box) -> str:
    """A curve from the foot of one box to the head of another, as an SVG path description."""
    x1, y1 = source.x + WIDTH // 2, source.y + HEIGHT
    x2, y2 = target.x + WIDTH // 2, target.y
    bend = (y1 + y2) // 2
    return f"M{x1} {y1}C{x1} {bend} {x2} {bend} {x2} {y2}"
