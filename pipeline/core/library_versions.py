"""The versions of installed packages."""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version


def library_versions(names: Iterable[str]) -> dict[str, str]:
    """The installed version of each of these packages, by name. Packages that are not installed are left out."""
    installed = {}
    for name in names:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed
