"""What `gleaner doctor` checks of the installation: every package at its pinned version, and the code of the stages."""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from cli.finding import Finding
from pipeline.core.errors import UserError
from pipeline.core.installed import PIN_FILE, installed_version, require_pinned_code

CHECKOUT_SETUP, OWN_SETUP = "run `make setup`", "reinstall Gleaner with `-c constraints.txt`"


def check_packages(root: Path) -> Iterator[Finding]:
    """Check that every required package is installed, and that installed packages have the pinned versions."""
    lines = (root / "constraints.txt").read_text().split() if (root / "constraints.txt").is_file() else []
    pins = {canonical_name(line.split("==")[0]): line.split("==")[1] for line in lines if re.match(r"[\w.-]+==", line)}
    if not pins:
        yield Finding("packages", "", f"expected constraints.txt in {root}, found no pins; run this in the project")
        return
    distributions = [(canonical_name(dist.metadata["Name"]), dist.version) for dist in metadata.distributions()]
    # An import finds the first copy of a package; setuptools adds old copies of some at the end.
    installed = dict(reversed(distributions))
    # A requirement with a marker belongs to an extra; every stage needs those without one.
    required = [
        canonical_name(re.split(r"[^\w.-]", line)[0]) for line in metadata.requires("gleaner") or () if ";" not in line
    ]
    faults = [
        f"{name}: expected {pins.get(name, 'any version')}, found none" for name in required if name not in installed
    ]
    faults += [
        f"{name}: expected {pin}, found {installed[name]}"
        for name, pin in pins.items()
        if name in installed and installed[name].split("+")[0] != pin
    ]
    setup = OWN_SETUP if (root / PIN_FILE).exists() else CHECKOUT_SETUP
    yield from (Finding("package", "", f"{fault}; {setup}") for fault in faults)
    if not faults:
        yield Finding("packages", f"{len(required)} required ones present, all versions as pinned")


def check_code(root: Path) -> Finding:
    """Check that the installed Gleaner has the code that a project of one's own was made or upgraded with."""
    try:
        require_pinned_code(root)
    except UserError as error:
        return Finding("Gleaner", "", str(error))
    place = f"as {PIN_FILE} names it" if (root / PIN_FILE).exists() else "in this checkout"
    return Finding("Gleaner", f"{installed_version()}, {place}")


def canonical_name(name: str) -> str:
    """The name of a package in the spelling of PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
