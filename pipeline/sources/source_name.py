"""The name of the data, from which row ids are derived."""

from pipeline.core.params import Ingest
from pipeline.sources import hub, sql


def source_name(params: Ingest) -> str:
    """Name of the data: the database, the dataset, or the last part of ``ingest.path``.

    Row ids are hashes of this name and the text. The name is the same for every split and on every machine.
    """
    if params.source == "sql":
        return sql.database_name(params.url or "")
    if params.source == "huggingface":
        return hub.dataset_name(params.url or "")
    return params.path.rstrip("/").split("/")[-1]
