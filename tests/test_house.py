"""The shape of the house: imports run down only, and dvc.yaml, params.yaml and the code say the same."""

import ast
from functools import cache
from pathlib import Path

import pytest

from pipeline.params import Params, read_yaml

ROOT = Path(__file__).parent.parent
STAGES = read_yaml(ROOT / "dvc.yaml")["stages"]
NIGHT = {"refresh", "feedback", "drift", "retrain", "notify"}  # what comes around a training
ORCHESTRATORS = {"prefect", "dvc", "mlflow"}


def modules(*folders: str) -> dict[str, Path]:
    """Dotted names of the modules in these folders, with their files."""
    found = {}
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            found[name.removesuffix(".__init__")] = path
    return found


HOUSE = modules("flows", "tasks", "pipeline")


@cache
def imports(name: str) -> frozenset[str]:
    """Everything that a module imports, inside functions too; ours as the module that is meant, others by top level."""
    tree = ast.parse(HOUSE[name].read_text())
    checked = {id(inner) for node in ast.walk(tree) if only_for_types(node) for inner in ast.walk(node)}
    found = set()
    for node in ast.walk(tree):
        if id(node) in checked:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {module if module in HOUSE else node.module for module in whole}
    return frozenset(module if module in HOUSE else module.split(".")[0] for module in found)


def only_for_types(node: ast.AST) -> bool:
    """A block under ``if TYPE_CHECKING``, which never runs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def reached(name: str) -> set[str]:
    """The modules of ours that run when this one is used, itself included."""
    found, todo = set(), [name]
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += [module for module in imports(one) if module in HOUSE]
    return found


def stage_of(module: str) -> str | None:
    """The stage whose file or package this is."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "pipeline" and parts[1] in STAGES else None


@pytest.mark.parametrize("name", HOUSE)
def test_imports_run_down_only(name: str) -> None:
    above = {"pipeline": {"tasks", "flows"}, "tasks": {"flows"}, "flows": set[str]()}[name.split(".")[0]]
    assert not {module for module in imports(name) if module.split(".")[0] in above}


@pytest.mark.parametrize("name", [name for name in HOUSE if name.startswith("pipeline")])
def test_the_pipeline_knows_no_orchestrator(name: str) -> None:
    assert not imports(name) & ORCHESTRATORS


def test_only_the_registry_and_the_code_that_it_serves_import_mlflow() -> None:
    found = {name for name in HOUSE if "mlflow" in imports(name)}
    assert {".".join(name.split(".")[:2]) for name in found} == {"tasks.registry", "tasks.serving"}


@pytest.mark.parametrize("name", [name for name in HOUSE if stage_of(name)])
def test_stages_never_import_one_another(name: str) -> None:
    assert {stage_of(module) for module in imports(name)} <= {None, stage_of(name)}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_a_file_a_section_of_params_and_a_folder_in_data(stage: str) -> None:
    assert f"pipeline.{stage}" in HOUSE
    assert stage in Params.model_fields and stage in STAGES[stage]["params"]
    assert STAGES[stage]["cmd"] == f"python -m pipeline.{stage}"
    written = STAGES[stage].get("outs", []) + STAGES[stage]["metrics"]
    assert all(path.startswith(f"data/{stage}/") for path in written)
    assert f"data/{stage}/metrics.json" in STAGES[stage]["metrics"]


def test_the_sections_of_params_are_the_stages_and_what_several_share() -> None:
    assert set(Params.model_fields) == {*STAGES, "encoder", "mitigation", "gate", "registry", *NIGHT}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_exactly_the_code_that_it_runs(stage: str) -> None:
    files = {HOUSE[name].relative_to(ROOT).as_posix() for name in reached(f"pipeline.{stage}") | starts(stage)}
    files = {str(Path(file).parent) if file.count("/") > 1 else file for file in files}  # a package, by its folder
    listed = {path for path in STAGES[stage]["deps"] if path.startswith("pipeline/")}
    assert listed == files - {"pipeline/__init__.py"}


def test_checkpoints_are_bound_to_the_code_that_trainings_share() -> None:
    from pipeline.trainer import CODE

    plumbing = {"__init__", "errors", "faults", "params", "stage", "table"}  # what these change shows in the inputs
    shared = set.union(*(reached(f"pipeline.{stage}") for stage in ("pretrain", "finetune")))
    files = {module.split(".")[1] for module in shared if module != "pipeline" and not stage_of(module)}
    assert {f"{name}.py" for name in files - plumbing} == set(CODE)


def starts(stage: str) -> set[str]:
    """``python -m`` runs a package through its ``__main__``."""
    main = f"pipeline.{stage}.__main__"
    return reached(main) if main in HOUSE else set()


def test_every_plot_is_the_output_of_a_stage() -> None:
    outs = {path for stage in STAGES.values() for path in stage.get("outs", [])}
    assert set(read_yaml(ROOT / "dvc.yaml")["plots"]) <= outs


def test_every_requirement_of_a_served_version_is_pinned() -> None:
    from tasks.registry import SERVING, pins

    assert len(pins(ROOT / "constraints.txt")) == len(SERVING)


@pytest.mark.parametrize("module", ["torch", "transformers", "sklearn", "prefect", "dvc", "matplotlib"])
def test_a_served_version_needs_no_training_library(module: str) -> None:
    assert all(module not in imports(name) for name in reached("tasks.serving"))
