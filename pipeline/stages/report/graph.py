"""The graph of dvc.yaml as boxes and lines: stages in layers from top to bottom, no edge that others imply."""

from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 132, 34  # of a box, in SVG units
GAP_X, GAP_Y = 20, 34


@dataclass(frozen=True)
class Box:
    stage: str
    x: int
    y: int


@dataclass(frozen=True)
class Graph:
    """Where everything stands in an SVG of ``width`` by ``height`` units; ``lines`` are path descriptions."""

    boxes: list[Box]
    lines: list[str]
    edges: list[tuple[str, str]]
    width: int
    height: int


def upstream(pipeline: dict[str, Any]) -> dict[str, set[str]]:
    """Stage -> the stages whose outputs it reads; ``pipeline`` is the content of dvc.yaml."""
    stages = pipeline["stages"]
    needs: dict[str, set[str]] = {}
    for name, stage in stages.items():
        paths = [dep.split("/") for dep in stage.get("deps", [])]
        needs[name] = {path[1] for path in paths if path[0] == "data" and len(path) > 2 and path[1] in stages} - {name}
    return needs


def layers(needs: dict[str, set[str]]) -> dict[str, int]:
    """Stage -> its layer: one below the lowest of the stages that it reads."""

    def layer(stage: str) -> int:
        return 1 + max(map(layer, needs[stage]), default=-1)

    return {stage: layer(stage) for stage in needs}


def reduced(needs: dict[str, set[str]]) -> list[tuple[str, str]]:
    """The edges that no longer path implies (the transitive reduction), as (upstream, downstream)."""

    def ancestors(stage: str) -> set[str]:
        return needs[stage].union(*map(ancestors, needs[stage]))

    return [
        (source, stage)
        for stage, direct in needs.items()
        for source in sorted(direct)
        if not any(source in ancestors(other) for other in direct - {source})
    ]


def draw(pipeline: dict[str, Any]) -> Graph:
    """Lay the stages of dvc.yaml out; each layer is centred and keeps the order of the file."""
    needs = upstream(pipeline)
    depth = layers(needs)
    rows = [[stage for stage in needs if depth[stage] == level] for level in range(max(depth.values()) + 1)]
    width = max(map(len, rows)) * (WIDTH + GAP_X) + GAP_X
    boxes = []
    for level, row in enumerate(rows):
        left = (width - len(row) * WIDTH - (len(row) - 1) * GAP_X) // 2
        boxes += [Box(stage, left + i * (WIDTH + GAP_X), 2 + level * (HEIGHT + GAP_Y)) for i, stage in enumerate(row)]
    edges = reduced(needs)
    at = {box.stage: box for box in boxes}
    lines = [line(at[source], at[target]) for source, target in edges]
    return Graph(boxes, lines, edges, width, len(rows) * (HEIGHT + GAP_Y) - GAP_Y + 4)


def line(source: Box, target: Box) -> str:
    """A curve from the foot of one box to the head of another, as an SVG path description."""
    x1, y1 = source.x + WIDTH // 2, source.y + HEIGHT
    x2, y2 = target.x + WIDTH // 2, target.y
    bend = (y1 + y2) // 2
    return f"M{x1} {y1}C{x1} {bend} {x2} {bend} {x2} {y2}"
