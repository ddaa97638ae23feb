"""The architecture: imports run down only and in no circle; dvc.yaml and params.yaml fit the code."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from pipeline.core.params import Params, read_yaml

ROOT = Path(__file__).parent.parent
STAGES = read_yaml(ROOT / "dvc.yaml")["stages"]
AROUND = {"refresh", "feedback", "drift", "retrain", "notify", "serve", "monitor"}  # sections for what is no training
SHARED = {"abstain", "compute", "encoder", "mitigation", "gate", "promotion", "registry"}
ORCHESTRATORS = {"prefect", "dvc", "mlflow"}
LONGEST = 250  # lines of a file

# From top to bottom. A room imports those below it; rooms of one level do not import each other.
LEVELS = (
    ("cli", "gleaner"),
    ("flows",),
    ("flows/outcomes",),
    ("tasks", "tasks/serving"),
    ("tasks/registry", "tasks/project"),
    ("tasks/git",),
    ("tasks/dvc", "tasks/processes", "tasks/prefect_states"),
    ("pipeline/stages", "pipeline/labelling", "pipeline/commands", "pipeline/experiments", "pipeline/serving"),
    ("pipeline/pages",),
    ("pipeline/policies",),
    ("pipeline/attribution", "pipeline/mitigation", "pipeline/training"),
    ("pipeline/models",),
    ("pipeline/compute",),
    ("pipeline/sources",),
    ("pipeline/metrics",),
    ("pipeline/text",),
    ("pipeline/core",),
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
BY_FOLDER = {"pipeline/core", "pipeline/attribution"}  # rooms that dvc.yaml lists whole


def modules(*folders: str) -> dict[str, Path]:
    """The modules in these folders: dotted name -> file."""
    files: dict[str, Path] = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            files[name.removesuffix(".__init__")] = path
    return files


HOUSE = modules("gleaner", "cli", "flows", "tasks", "pipeline")


@cache
def imports(name: str, for_types: bool = True) -> frozenset[str]:
    """The imports of a module, also those inside functions: our modules by their full name, others by the top level.

    ``for_types`` includes imports under ``if TYPE_CHECKING``, which never run.
    """
    tree = ast.parse(HOUSE[name].read_text())
    skipped = (
        set() if for_types else {id(inner) for node in ast.walk(tree) if never_runs(node) for inner in ast.walk(node)}
    )
    imported = set()
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            imported |= {module if module in HOUSE else node.module for module in whole}
    return frozenset(module if module in HOUSE else module.split(".")[0] for module in imported)


def never_runs(node: ast.AST) -> bool:
    """Whether a node is a block under ``if TYPE_CHECKING``."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def reached(name: str) -> set[str]:
    """The modules of ours that run when this one is used, itself included."""
    seen: set[str] = set()
    todo = [name]
    while todo:
        module = todo.pop()
        if module not in seen:
            seen.add(module)
            todo += [below for below in imports(module, for_types=False) if below in HOUSE]
    return seen


def room_of(module: str) -> str:
    """The room of LEVELS that holds a module; its folder where no room does."""
    parts = module.split(".")
    is_package = HOUSE[module].name == "__init__.py"
    folder = "/".join(parts if is_package else parts[:-1])
    named = [room for room in LEVEL if folder == room or folder.startswith(f"{room}/")]
    return max(named, key=len, default=folder)


def stage_of(module: str) -> str | None:
    """The stage to whose file or package a module belongs."""
    parts = module.split(".")
    return parts[2] if parts[:2] == ["pipeline", "stages"] and len(parts) > 2 else None


def wrong_way(module: str) -> list[str]:
    """A message for each import that does not run down, with the place where the imported code belongs."""
    room = room_of(module)
    faults = []
    for other in imports(module):
        if other not in HOUSE or room_of(other) == room or other == "pipeline":
            continue
        if LEVEL[room_of(other)] <= LEVEL[room]:
            faults.append(
                f"{module} imports {other}, which is not below {room}: move what it needs from there to {room}, "
                f"or to a room below both"
            )
    return faults


@pytest.mark.parametrize("name", [name for name in HOUSE if name != "pipeline"])
def test_imports_run_down_only(name: str) -> None:
    assert room_of(name) in LEVEL, f"{name} is in no room of LEVELS: put it into one, or name its room there"
    assert not wrong_way(name)


def test_no_import_circle_not_even_one_for_types() -> None:
    graph = {name: [module for module in imports(name) if module in HOUSE and module != name] for name in HOUSE}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"an import circle: {' -> '.join(error.args[1])}; move what they share to a module of its own")


def test_the_pipeline_holds_folders_only() -> None:
    assert [path.name for path in (ROOT / "pipeline").glob("*.*")] == ["__init__.py"]


@pytest.mark.parametrize("name", [name for name in HOUSE if name.startswith("pipeline")])
def test_the_pipeline_knows_no_orchestrator(name: str) -> None:
    assert not imports(name) & ORCHESTRATORS


def test_only_the_registry_imports_mlflow() -> None:
    assert {room_of(name) for name in HOUSE if "mlflow" in imports(name, for_types=False)} == {"tasks/registry"}


@pytest.mark.parametrize("name", [name for name in HOUSE if stage_of(name)])
def test_stages_never_import_one_another(name: str) -> None:
    others = {module for module in imports(name) if stage_of(module) not in (None, stage_of(name))}
    assert not others, f"{name} imports {sorted(others)}: move what both need down to the library that it belongs to"


@pytest.mark.parametrize("path", sorted([*HOUSE.values(), *modules("tests", "benchmarks").values()]), ids=str)
def test_no_file_is_too_long(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= LONGEST, f"{path.relative_to(ROOT)} has {lines} lines: split it where it does two jobs"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_file_a_section_of_params_and_a_folder_in_data(stage: str) -> None:
    assert f"pipeline.stages.{stage}" in HOUSE
    assert stage in Params.model_fields and stage in STAGES[stage]["params"]
    assert STAGES[stage]["cmd"] == f"python -m pipeline.stages.{stage}"
    written = STAGES[stage]["outs"]
    assert all(path.startswith(f"data/{stage}/") for path in written)
    assert written[-1] == f"data/{stage}/metrics.json"


def test_every_module_in_stages_is_of_a_stage_of_dvc_yaml() -> None:
    assert {stage_of(name) for name in HOUSE if stage_of(name)} == set(STAGES)


def test_the_sections_of_params_are_the_stages_and_what_several_share() -> None:
    assert set(Params.model_fields) == {*STAGES, *SHARED, *AROUND}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_exactly_the_code_that_it_runs(stage: str) -> None:
    listed = {path for path in STAGES[stage]["deps"] if path.startswith("pipeline/")}
    assert listed == code_of(stage)


def code_of(stage: str) -> set[str]:
    """The code of a stage as dvc.yaml must list it: files, and packages by their folder.

    Templates and styles beside a listed file are listed, too. A file with only a docstring is left out.
    """
    used = reached(f"pipeline.stages.{stage}") | run_by_main(stage)
    paths = {listed_as(HOUSE[name].relative_to(ROOT)) for name in used if not is_bare(HOUSE[name])}
    folders = {path.parent for path in paths if path.suffix == ".py"}
    paths |= {
        beside.relative_to(ROOT)
        for folder in folders
        for beside in (ROOT / folder).iterdir()
        if beside.is_file() and beside.suffix != ".py"
    }
    return {path.as_posix() for path in paths}


def listed_as(path: Path) -> Path:
    """A file itself, or the folder of its package: pipeline/ROOM/PACKAGE, or a room that is listed whole."""
    parts = path.parts
    if "/".join(parts[:2]) in BY_FOLDER:
        return Path(*parts[:2])
    return Path(*parts[:3]) if len(parts) > 3 else path


def is_bare(path: Path) -> bool:
    """Whether a file is an ``__init__.py`` with a docstring and nothing else."""
    return path.name == "__init__.py" and len(ast.parse(path.read_text()).body) == 1


def run_by_main(stage: str) -> set[str]:
    """The modules that the ``__main__`` of a stage's package runs; none for a stage of one file."""
    main = f"pipeline.stages.{stage}.__main__"
    return reached(main) if main in HOUSE else set()


def test_checkpoints_are_bound_to_the_code_that_trainings_share() -> None:
    from pipeline.training.checkpoints import CODE

    shared = set.union(
        *(reached(f"pipeline.stages.{stage}") | run_by_main(stage) for stage in ("pretrain", "finetune"))
    )
    files = {HOUSE[name] for name in shared if not stage_of(name) and not is_bare(HOUSE[name])}
    below = {path.relative_to(ROOT / "pipeline").as_posix() for path in files}
    # A change of core or metrics shows in the inputs of a training.
    assert {path for path in below if not path.startswith(("core/", "metrics/"))} == set(CODE)


def test_every_plot_and_every_metrics_file_is_the_output_of_a_stage() -> None:
    outs = {path for stage in STAGES.values() for path in stage["outs"]}
    shown = read_yaml(ROOT / "dvc.yaml")
    assert {*shown["plots"], *shown["metrics"]} <= outs


def test_every_requirement_of_a_served_version_is_pinned() -> None:
    from tasks.registry import SERVING_PACKAGES, serving_requirements

    assert len(serving_requirements(ROOT / "constraints.txt")) == len(SERVING_PACKAGES)


@pytest.mark.parametrize("module", ["torch", "transformers", "sklearn", "prefect", "dvc", "matplotlib"])
def test_a_served_version_needs_no_training_library(module: str) -> None:
    assert all(module not in imports(name, for_types=False) for name in reached("tasks.registry.served_model"))
