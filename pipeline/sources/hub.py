"""A Hugging Face dataset, by name on the hub or as a local folder, to records."""

from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.sources.source import SPLITS, Record, Source, wanted


def read(params: Ingest, root: Path) -> list[Source]:
    """The dataset's splits that params name; class numbers become class names, and -1 (hidden) an empty label.

    Raises UserError for a dataset of the hub without a revision: DVC would not notice a new one there.
    """
    url = params.url or ""
    local = (root / url).exists()
    if not (local or params.revision):
        raise UserError(
            f"ingest.revision: expected the commit hash of {url} on the hub, found none; pin one, "
            "or name a folder of this machine in ingest.url"
        )
    name, _, config = (str(root / url), "", "") if local else url.partition(":")
    sources = []
    for split in SPLITS:
        for entry in getattr(params, split):
            dataset = load(name, config or None, entry, params, f"ingest.{split}")
            columns = dataset.column_names
            names = [column for column in wanted(params.columns) if column in columns]
            values = {column: named(dataset[column], dataset.features[column]) for column in names}
            records = [Record(i + 1, {key: values[key][i] for key in names}) for i in range(len(dataset))]
            sources.append(Source(f"{name_of(url)}/{entry}", split, columns, records))
    return sources


def name_of(url: str) -> str:
    """The dataset's name without owner and config, or the folder's."""
    return Path(url.partition(":")[0]).name


def load(name: str, config: str | None, entry: str, params: Ingest, key: str) -> Any:
    """One split, downloaded at the pinned revision or taken from the local cache."""
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


def named(values: Any, feature: Any) -> list[Any]:
    """Plain values of one column."""
    from datasets import ClassLabel

    if not isinstance(feature, ClassLabel):
        return list(values)
    return [None if value is None or value < 0 else feature.names[value] for value in values]
