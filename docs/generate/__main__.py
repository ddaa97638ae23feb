"""Write docs/reference/params.md and docs/reference/commands.md, or check that they are current.

python -m docs.generate
python -m docs.generate --check
"""

import argparse
import sys
from pathlib import Path

from docs.generate.commands_page import commands_page
from docs.generate.params_page import params_page
from pipeline.core.stage import write_atomically

ROOT = Path(__file__).parents[2]
REFERENCE = Path("docs/reference")


def pages() -> dict[Path, str]:
    """The generated pages: path below the root -> Markdown text."""
    return {REFERENCE / "params.md": params_page(ROOT), REFERENCE / "commands.md": commands_page()}


def main(arguments: list[str]) -> int:
    """Write the pages that are not current; with --check write nothing and return 1 if there is one."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description="Generate the reference pages.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is not current")
    check = parser.parse_args(arguments).check
    stale = {path: text for path, text in pages().items() if not is_current(ROOT / path, text)}
    for path, text in stale.items():
        if check:
            print(f"{path} is not current; run `make docs`")
        else:
            write(ROOT / path, text)
            print(f"wrote {path}")
    return 1 if check and stale else 0


def is_current(path: Path, text: str) -> bool:
    """Whether a file exists and holds this text."""
    return path.is_file() and path.read_text(encoding="utf-8") == text


def write(path: Path, text: str) -> None:
    """Write a page, and its folder if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
