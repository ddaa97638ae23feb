"""What row ids are derived from: the name of the data, whatever the split and the machine."""

from pipeline.core.params import Ingest
from pipeline.sources import hub, sql


def source_name(params: Ingest) -> str:
    """What ids are derived from: the data's own name, the same whatever the split and the machine."""
    if params.source == "sql":
        return sql.name_of(params.url or "")
    return hub.name_of(params.url or "") if params.source == "huggingface" else params.path.rstrip("/").split("/")[-1]
