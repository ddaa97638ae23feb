"""The command `gleaner doctor`: print what is missing or misconfigured on this machine, and the fix for each.

gleaner doctor
"""

import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from cli.finding import Finding
from cli.installation_check import check_code, check_packages
from flows import proxies
from pipeline.core.errors import UserError
from pipeline.core.params import Params, load_params
from pipeline.core.printable import printable
from pipeline.core.secrets import without_credentials
from pipeline.core.stage import read_json
from pipeline.models import encoder
from pipeline.sources.pii_masking import check_masks
from pipeline.stages.back_translate import apertium, marian
from pipeline.text import wordnet
from pipeline.text.class_names import class_texts, doubt_meaning
from tasks.dvc.missing_inputs import missing_inputs
from tasks.git.head import read_head

PYTHON = (3, 11)
DISK_GB = 5.0  # for a run of the demo with its caches and checkpoints
MEMORY_GB = 4.0  # the demo needs less
PROXY_TIMEOUT = 2.0  # seconds


def main(root: Path) -> int:
    """Print one line for each finding; exit code 1 if something is missing, else 0."""
    return print_findings(diagnose(root))


def diagnose(root: Path) -> list[Finding]:
    """Check everything that a run in ``root`` needs; nothing is downloaded."""
    findings = [check_python(), *check_packages(root), check_disk(root), check_memory()]
    findings += [
        check_code(root),
        check_git(root),
        check_dvc(root),
        *check_databases(root),
        *check_proxies(),
        *check_servers(),
    ]
    try:
        params = load_params(root / "params.yaml")
    except UserError as error:
        return [*findings, *(Finding("params.yaml", "", line) for line in str(error).splitlines())]
    return [
        *findings,
        Finding("params.yaml", "valid"),
        *check_inputs(root),
        *check_params(params),
        *check_class_names(root),
    ]


def print_findings(findings: list[Finding]) -> int:
    """Print one line for each finding; returns 1 if something is missing, else 0."""
    for finding in findings:
        print(f"{'MISSING' if finding.fault else 'ok':8}{finding.name}: {printable(finding.fault or finding.state)}")
    faults = sum(bool(finding.fault) for finding in findings)
    print(f"\n{faults} to fix" if faults else "\nnothing is missing")
    return 1 if faults else 0


def check_python() -> Finding:
    """Check the version of the interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    fault = f"expected 3.11 or newer, found {version}; install python3.11"
    return Finding("Python", version, "" if sys.version_info >= PYTHON else fault)


def check_disk(root: Path) -> Finding:
    """Check the free space of the project's disk."""
    free = shutil.disk_usage(root).free / 1e9
    fault = f"expected {DISK_GB:.0f} GB free, found {free:.1f}; `gleaner clean`, `gleaner prune`, or move the project"
    return Finding("disk", f"{free:.1f} GB free", "" if free >= DISK_GB else fault)


def check_memory() -> Finding:
    """Check the memory of the machine."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    fault = (
        f"expected {MEMORY_GB:.0f} GB, found {total:.1f}; lower the batch sizes in params.yaml or use a larger machine"
    )
    return Finding("memory", f"{total:.1f} GB", "" if total >= MEMORY_GB else fault)


def check_git(root: Path) -> Finding:
    """Check that git is installed and the project is a repository with a commit, which lineage needs."""
    if shutil.which("git") is None:
        return Finding("git", "", "expected the command git, found none; `apt-get install git`")
    try:
        head = read_head(root)
    except UserError as error:
        return Finding("git", "", str(error))
    fault = f"expected a git repository with a commit in {root}, found {head.absence}; `git init`, then commit"
    return Finding("git", f"commit {(head.commit or '')[:10]}", "" if head.commit else fault)


def check_dvc(root: Path) -> Finding:
    """Check that the project is a DVC repository with a default remote."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo(str(root)) as repo:
            remote = repo.config["core"].get("remote")
            is_configured = remote in repo.config["remote"]
    except NotDvcRepoError:
        return Finding(
            "DVC", "", f"expected a DVC repository in {root}, found none; clone the project with its .dvc folder"
        )
    if not is_configured:
        fault = f"expected a default remote, found {remote or 'none'}; `dvc remote add -d storage FOLDER-OR-URL`"
        return Finding("DVC", "", fault)
    return Finding("DVC", f"remote {remote}")


def check_databases(root: Path) -> Iterator[Finding]:
    """Check that the databases of MLflow and Prefect can be written, or created."""
    if "MLFLOW_TRACKING_URI" in os.environ:
        yield Finding("MLflow", "kept at MLFLOW_TRACKING_URI")
    else:
        yield check_writable("MLflow", root / "mlflow.db")
    yield check_writable("Prefect", Path(os.environ.get("PREFECT_HOME", root / ".prefect")) / "prefect.db")


def check_writable(name: str, path: Path) -> Finding:
    """Check that a file can be written, or created where it does not exist."""
    existing = next(part for part in (path, *path.parents) if part.exists())
    fault = f"expected to be able to write {path}, found no permission for {existing}; `chown` or `chmod` it"
    return Finding(name, str(path), "" if os.access(existing, os.W_OK) else fault)


def check_proxies() -> Iterator[Finding]:
    """Check that each proxy of the environment can be used and takes connections."""
    for name, value in proxies.set_proxies():
        shown, endpoint = without_credentials(value), proxies.proxy_endpoint(value)
        fault = proxies.proxy_fault(value)
        if fault is None and endpoint is not None and not is_listening(*endpoint):
            fault = f"expected a proxy at {shown}, found none; start it, or correct or unset the variable"
        yield Finding(name, f"{shown}; gleaner asks servers on loopback without it", fault or "")


def check_servers() -> Iterator[Finding]:
    """Say which of the user's servers are asked through a proxy, and which need an exception for other tools."""
    for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI"):
        address = os.environ.get(name, "")
        host = urlsplit(address).hostname or ""
        if proxy := proxies.proxy_of(address):
            advice = f"add {host} to NO_PROXY if it can be reached without"
            yield Finding(f"{name} and proxy", f"asked through {without_credentials(proxy)}; {advice}")
        elif host in proxies.LOOPBACK and proxies.is_missing_in_no_proxy(host):
            advice = f"`export NO_PROXY={','.join(proxies.LOOPBACK)}` for other tools, such as `mlflow` and `prefect`"
            yield Finding(f"{name} and proxy", f"asked without the proxy by gleaner; {advice}")


def is_listening(host: str, port: int) -> bool:
    """Whether something takes connections at a host's port."""
    try:
        with socket.create_connection((host, port), timeout=PROXY_TIMEOUT):
            return True
    except OSError:
        return False


def check_params(params: Params) -> Iterator[Finding]:
    """Check what the stages need with these params."""
    if params.pretrain.from_scratch:
        yield Finding("encoder", "trained from scratch")
    elif params.encoder.source == "hub" and not is_cached(params):
        yield Finding("encoder", f"{params.encoder.name} will be fetched from the hub on the first run")
    else:
        yield check_by_trying("encoder", params.encoder.name, lambda: encoder.locate(params.encoder))
    if params.ingest.mask_pii:
        by_presidio = ", ".join(params.ingest.presidio.entities)
        state = f"the built-in ones{f', and {by_presidio} by Presidio' if by_presidio else ''}"
        yield check_by_trying("PII masks", state, lambda: check_masks(params.ingest))
    if params.synonyms.variants:
        yield check_by_trying("WordNet", "installed", wordnet.prepare_folder)
    translation = params.back_translate
    if translation.engine == "apertium":
        pairs = translation.apertium
        yield check_by_trying("Apertium", " and ".join(pairs), lambda: apertium.check_installed(pairs))
    elif translation.engine == "marian" and all(Path(name).is_dir() for name in translation.marian):
        yield check_by_trying("Marian", " and ".join(translation.marian), lambda: marian.locate_models(translation))


def check_inputs(root: Path) -> Iterator[Finding]:
    """Check that every input that a stage of dvc.yaml needs and no stage makes is there."""
    try:
        missing = missing_inputs(root)
    except UserError as error:
        yield Finding("dvc.yaml", "", str(error))
        return
    for path, stages in missing.items():
        fix = f"put it there, `git checkout -- {path}` if git tracks it, or correct params.yaml"
        yield Finding("input", "", f"{', '.join(stages)}: expected {path}, found none; {fix}")
    if not missing:
        yield Finding("inputs", "all that stages read and no stage makes are there")


def check_class_names(root: Path) -> Iterator[Finding]:
    """Say whether the classes of the last run's data need a description; a run without one works, but labels worse."""
    classes, teacher = (root / "data" / path for path in ("ingest/labels.json", "pseudo_label/metrics.json"))
    if not classes.is_file():
        return
    about = read_json(classes)
    doubt = doubt_meaning(class_texts(about["labels"], about["descriptions"]))
    doubt = doubt or (read_json(teacher).get("names_doubted", "") if teacher.is_file() else "")
    hint = f"{doubt}; describe each class in a few words (ingest.labels.descriptions)"
    yield Finding("class names", hint if doubt else "they say what texts are about")


def is_cached(params: Params) -> bool:
    """Whether the local cache of the hub holds the encoder at its revision."""
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(params.encoder.name, "config.json", revision=params.encoder.revision), str)


def check_by_trying(name: str, state: str, attempt: Callable[[], object]) -> Finding:
    """Try what a stage would do; the fault is the UserError that it raises."""
    try:
        attempt()
    except UserError as error:
        return Finding(name, "", str(error))
    return Finding(name, state)
