"""A Hugging Face dataset to records: by its name on the hub, or as a local folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.sources.class_names import class_names, name_classes
from pipeline.sources.source import SPLITS, Record, Source, columns_to_read

ROWS_AT_ONCE = 10_000


def read(params: Ingest, root: Path) -> list[Source]:
    """Every split of the dataset that params name; class numbers become class names.

    A class number of -1, which hides the label in some test sets, becomes an empty cell. Raises UserError if a dataset
    of the hub has no ``ingest.revision``: DVC would not notice a new version there.
    """
    url = params.url or ""
    is_local = (root / url).exists()
    if not (is_local or params.revision):
        raise UserError(
            f"ingest.revision: expected the commit hash of {url} on the hub, found none; pin one, "
            "or name a folder of this machine in ingest.url"
        )
    name, _, config = (str(root / url), "", "") if is_local else url.partition(":")
    sources = []
    for split in SPLITS:
        for entry in getattr(params, split):
            dataset = load_split(name, config or None, entry, params, f"ingest.{split}")
            columns = dataset.column_names
            names = [column for column in columns_to_read(params.columns) if column in columns]
            sources.append(Source(f"{dataset_name(url)}/{entry}", split, columns, read_records(dataset, names)))
    return sources


def read_records(dataset: Any, names: list[str]) -> Iterator[Record]:
    """The records of a ``datasets.Dataset``, which stays on disk; ``names`` are the columns that they have."""
    for start in range(0, len(dataset), ROWS_AT_ONCE):
        part = dataset[start : start + ROWS_AT_ONCE]
        values = {column: plain_values(part[column], dataset.features[column]) for column in names}
        for i in range(min(ROWS_AT_ONCE, len(dataset) - start)):
            yield Record(start + i + 1, {key: values[key][i] for key in names})


def dataset_name(url: str) -> str:
    """Name of the dataset without owner and config, or the name of the local folder."""
    return Path(url.partition(":")[0]).name


def load_split(name: str, config: str | None, entry: str, params: Ingest, key: str) -> Any:
    """The ``datasets.Dataset`` of the split ``entry``, downloaded at the pinned revision or read from the local cache.

    Raises UserError, which names the YAML path ``key``, if the dataset or the split cannot be loaded.
    """
    from datasets import disable_progress_bars, load_dataset
    from datasets.exceptions import DatasetsError

    disable_progress_bars()
    try:
        return load_dataset(name, config, split=entry, revision=params.revision)
    except (OSError, ValueError, DatasetsError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(
            f'{key}: expected the split "{entry}" of {params.url}, found {type(error).__name__}: {reason}; '
            "check ingest.url, ingest.revision, the split and the network"
        ) from None


def plain_values(values: Any, feature: Any) -> list[Any]:
    """The values of one column as a list, class numbers as class names; None for a negative number."""
    names = class_names(feature)
    return [name_classes(value, names) for value in values] if names else list(values)
