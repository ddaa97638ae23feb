"""A real spaCy pipeline in a folder, which finds the entities that a test names."""

from pathlib import Path
from typing import Any

from pipeline.sources.presidio_engine import import_presidio


def save_pipeline(folder: Path, entities: dict[str, str], language: str = "en") -> Path:
    """A spaCy pipeline that finds each of these texts as an entity of this label, saved in ``folder``."""
    import_presidio()
    import spacy

    pipeline = spacy.blank(language)
    ruler: Any = pipeline.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": label, "pattern": text} for text, label in entities.items()])
    pipeline.to_disk(folder)
    return folder
