"""What every stage shares: where its files are, how it starts, and how it ends."""

import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any, TypeVar

from pipeline.core.errors import UserError
from pipeline.core.params import load

Metrics = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Paths:
    """Where a stage finds its inputs and leaves its outputs, below the project's root."""

    root: Path

    def data(self, stage: str) -> Path:
        """``data/<stage>``: the outputs of a stage, owned by DVC."""
        return self.root / "data" / stage

    def scratch(self, stage: str) -> Path:
        """``data/scratch/<stage>``: checkpoints and caches that outlive a killed run; never an output."""
        return self.root / "data" / "scratch" / stage


def main(run: Callable[..., Metrics], *shared: str) -> None:
    """Run the stage that this process was started for, with its own section of params.yaml.

    ``shared`` names further sections that the stage reads, e.g. ``encoder``; they are passed after its own.
    A user's mistake ends as one line on stderr and exit code 2, any other error as `crashed` has it and exit code 1.
    """
    # Threads of torch that wait by spinning take the cores from other work: two trainings at a time ran three times
    # slower than with short spins, which cost one alone nothing (benchmarks/LOG.md).
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    module = sys.modules["__main__"].__spec__.name  # type: ignore[union-attr]
    stage = module.removeprefix("pipeline.stages.").split(".")[0]
    paths = Paths(Path.cwd())
    try:
        params = load(paths.root / "params.yaml")
        out = paths.data(stage)
        out.mkdir(parents=True, exist_ok=True)
        # The metrics are the last thing written: whoever finds them knows that the rest is whole.
        (out / "metrics.json").unlink(missing_ok=True)
        metrics = run(*(getattr(params, name) for name in (stage, *shared)), paths)
        write_json(metrics, out / "metrics.json")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except Exception as error:  # noqa: BLE001  whatever it is, it may quote a row
        report_crash(error, paths.scratch(stage) / "crash.txt")
        raise SystemExit(1) from None


def report_crash(error: Exception, path: Path) -> None:
    """Tell on stderr where an error came from, and no more of its message than `told` does."""
    lines = ["Traceback (most recent call last):\n", *traceback.format_tb(error.__traceback__)]
    print("".join(lines) + describe_crash(error, path), file=sys.stderr)


def describe_crash(error: Exception, path: Path) -> str:
    """The type of an error and where its message is: in a file that stays on this machine.

    What stages and flows print ends in Prefect's database, and libraries quote the value that they could not take: in
    ``could not convert string to float: '...'`` the dots are a row's text. What the system says is about files.
    """
    message = "".join(traceback.format_exception(error))

    def write(part: Path) -> None:
        part.touch(0o600)
        part.write_text(message, errors="backslashreplace")

    replace(path, write)
    plain = isinstance(error, OSError | MemoryError | ImportError)
    return f"{type(error).__name__}: {error if plain else f'in {path}, as it may quote a row'}"


@contextmanager
def withhold_message(path: Path) -> Iterator[None]:
    """For a block of a flow that handles texts: of an error that is no user's mistake, what `told` tells is left."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001  whatever it is, it may quote a row
        raise RuntimeError(describe_crash(error, path)).with_traceback(error.__traceback__) from None


def write_json(content: Any, path: Path) -> None:
    """Write beside the place and rename, so that a half-written file never has the final name."""
    replace(path, lambda part: part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n"))


def read_json(path: Path) -> Any:
    """Read a JSON file that an earlier stage wrote; a missing one is the user's to make."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(
            f"{path}: expected the output of an earlier stage, found no such file; run `dvc repro`"
        ) from None


def replace(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a temporary file or folder beside ``path``, then rename it into place.

    Each process has a temporary place of its own, for two may be at it at once; those of dead processes are removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    for old in path.parent.glob(f".{escape(path.name)}.*.part"):
        if old == part or not alive(int(old.name.split(".")[-2])):
            shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
    write(part)
    if path.is_dir():
        shutil.rmtree(path)
    os.replace(part, path)


def alive(process: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """One progress line: a bar in a terminal, a line every few seconds in a log."""
    from tqdm import tqdm

    live = sys.stderr.isatty()
    return iter(
        tqdm(
            items,
            desc=what,
            total=total,
            mininterval=0.1 if live else 5,
            bar_format=None if live else "{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}]\n",
            leave=live,
        )
    )
