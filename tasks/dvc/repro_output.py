"""What `dvc repro` printed of one stage: how the stage ended, and why it failed."""

import re
from collections.abc import Iterable
from typing import Literal

from pipeline.core.disk_errors import FULL_DISK, NO_SPACE, explain_disk_message

# DVC prints these hints on git and remotes after every stage. They tell nothing about the stage.
DVC_HINTS = re.compile(
    r"(Generating|Updating) lock file|To (track the changes with git|enable auto staging), run:"
    r"|\s+(git add|dvc config core.autostage)|Use `dvc push`"
)
QUOTED_LINES = 15  # of the output, at the end of a failure's message
DVC_FAILURE = ("ERROR: failed to reproduce", "ERROR: unexpected error", "ERROR: Unable to")
MISSING_INPUT = re.compile(r"(?:missing data 'sources?': |dependency '|No such file or directory: ')(.*?)(?:'|$)")
BUSY = "is busy, it is being blocked by"

SuccessStatus = Literal["ran", "cached", "restored"]


def parse_status(name: str, lines: Iterable[str]) -> SuccessStatus:
    """The status of a stage that succeeded, from DVC's output."""
    for line in lines:
        if line.startswith(f"Stage '{name}' is cached"):
            return "restored"
        if line.startswith(f"Stage '{name}' didn't change"):
            return "cached"
    return "ran"


def is_busy(lines: Iterable[str]) -> bool:
    """Whether DVC did not begin because another command works on files of the stage."""
    return any(BUSY in line for line in lines)


def describe_failure(name: str, lines: list[str]) -> tuple[str, bool]:
    """The lines of the output that explain a failure, and whether it is a user's error.

    After a user's error a stage prints "error: ..." and exits with 2. DVC's last line repeats the exit code.
    """
    end = next((i for i, line in enumerate(lines) if line.startswith(DVC_FAILURE)), len(lines))
    stage_output, dvc_message = lines[:end], " ".join(lines[end:])
    if explanation := explain_disk_message(dvc_message):
        return f"error: {name}: {explanation}", True
    if missing := MISSING_INPUT.search(dvc_message):
        return f"error: {name}: expected the input {missing[1]}, found no such file; correct its path or add it", True
    error_start = next((i for i, line in enumerate(stage_output) if line.startswith("error: ")), None)
    if error_start is not None and re.search(r"exited with 2\b", dvc_message):
        return "\n".join(stage_output[error_start:]), True
    if FULL_DISK.search("\n".join(stage_output[-QUOTED_LINES:])):
        return f"error: {name}: expected to write a file, found {NO_SPACE}", True
    return "\n".join(stage_output[-QUOTED_LINES:] or lines[-QUOTED_LINES:]), False
