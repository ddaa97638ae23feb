"""The stages of dvc.yaml in their order, as DVC sees them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.dvc.repository import open_repo

if TYPE_CHECKING:
    from dvc.repo import Repo


def stage_graph(root: Path) -> dict[str, list[str]]:
    """The stages of dvc.yaml with the stages that each needs, in an order in which each comes after those.

    Raises UserError if DVC cannot read the project.
    """
    with open_repo(root) as repo:
        return graph_of(repo)


def graph_of(repo: "Repo") -> dict[str, list[str]]:
    """`stage_graph` of a project that is open."""
    from networkx import lexicographical_topological_sort

    needs = repo.index.graph  # its edges lead from a stage to those that it needs
    position = list(repo.index.stages).index  # decides between stages that do not need each other
    order = filter(is_stage, lexicographical_topological_sort(needs.reverse(), key=position))
    return {stage.name: [need.name for need in needs.successors(stage) if is_stage(need)] for stage in order}


def is_stage(node: Any) -> bool:
    """Whether a node of DVC's graph is a stage of dvc.yaml. A .dvc file is none: it tracks data and runs nothing."""
    return bool(getattr(node, "name", None))
