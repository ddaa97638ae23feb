"""Presidio's analyzer for the params: its patterns, and a spaCy pipeline that is on this machine.

Presidio and spaCy are imported only where ``ingest.presidio.entities`` names something. Nothing is downloaded.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError

ANY_LANGUAGE = "xx"  # what spaCy calls the language of a pipeline for several
LEMMAS = "lowercase_lemmas"  # a component of ours


@cache
def load_analyzer(model: str | None, language: str, entities: tuple[str, ...]) -> Any:
    """Presidio's AnalyzerEngine for these entities, loaded once a process.

    Raises UserError if Presidio or the spaCy pipeline is missing, or if one of the entities is found by nothing.
    """
    import_presidio()
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    pipeline = load_pipeline(model, language)
    labels = entity_labels(pipeline)
    names = NerModelConfiguration().model_to_presidio_entity_mapping
    names = {label: names.get(label, label) for label in labels} if names else {}
    engine: Any = SpacyNlpEngine(ner_model_configuration=NerModelConfiguration(model_to_presidio_entity_mapping=names))
    engine.nlp = {language: pipeline}  # it is loaded: Presidio would download what it does not find
    recognizers = pattern_recognizers(language)
    by_pattern = {entity for recognizer in recognizers for entity in recognizer.supported_entities}
    require_known(entities, by_pattern | set(names.values()), model, language)
    registry = RecognizerRegistry(
        [recognizer for recognizer in recognizers if set(entities) & set(recognizer.supported_entities)],
        supported_languages=[language],
    )
    if labels:
        registry.add_nlp_recognizer(engine)
    return AnalyzerEngine(registry, engine, supported_languages=[language])


def require_known(entities: tuple[str, ...], known: set[str], model: str | None, language: str) -> None:
    """Raises UserError if nothing finds one of the entities."""
    unknown = [entity for entity in entities if entity not in known]
    if not unknown:
        return
    close = get_close_matches(unknown[0].upper(), sorted(known), n=1)
    finders = f"Presidio's patterns for {language}" + (f" or the spaCy pipeline {model}" if model else "")
    otherwise = "" if model else "name a spaCy pipeline that finds it in ingest.presidio.model, "
    raise UserError(
        f"ingest.presidio.entities: expected what {finders} can find, found {unknown[0]}"
        f"{f', which may be meant as {close[0]}' if close else ''}; {otherwise}correct it, or leave it out"
    )


def import_presidio() -> None:
    """Import Presidio and spaCy so that they ask no server and load no library that patterns and spaCy do not need.

    Raises UserError if Presidio is not installed.
    """
    if find_spec("presidio_analyzer") is None:
        raise UserError(
            "ingest.presidio.entities: expected the package presidio-analyzer, found none; install it with "
            "`pip install 'gleaner[presidio]' -c constraints.txt`, or set ingest.presidio.entities: []"
        )
    os.environ["TLDEXTRACT_PUBLIC_SUFFIX_LIST_URLS"] = ""  # the list of domains comes with the package
    os.environ.setdefault("PRESIDIO_DEVICE", "cpu")  # or it imports torch to look for a GPU
    with unimportable("torch", "transformers"):
        import presidio_analyzer  # noqa: F401


@contextmanager
def unimportable(*names: str) -> Iterator[None]:
    """Imports of these packages fail in the block, unless they are imported already."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None, so that an import fails
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def load_pipeline(model: str | None, language: str) -> Any:
    """The spaCy pipeline of this name or folder; without one, words alone.

    Raises UserError if it is not here, cannot be loaded or is for another language.
    """
    from spacy.language import Language

    pipeline = read_words(language) if model is None else read_model(model)
    if pipeline.lang not in (language, ANY_LANGUAGE):
        raise UserError(
            f"ingest.presidio.language: expected {pipeline.lang}, the language of {model}, found {language}; correct it"
        )
    if not any("token.lemma" in pipeline.get_pipe_meta(name).assigns for name in pipeline.pipe_names):
        # Presidio compares lemmas with the words that speak for an entity, such as "passport" before a number.
        Language.component(LEMMAS, func=lowercase_lemmas)
        pipeline.add_pipe(LEMMAS)
    return pipeline


def read_words(language: str) -> Any:
    """A spaCy pipeline that finds words and no entities. Raises UserError for a language that spaCy cannot read."""
    import spacy

    try:
        return spacy.blank(language)
    except ImportError:
        raise UserError(
            f"ingest.presidio.language: expected a language that spaCy can read here, such as en, found {language}; "
            "correct it, or install what spaCy needs for it"
        ) from None


def read_model(model: str) -> Any:
    """The spaCy pipeline of this name or folder. Raises UserError if it is not here or cannot be loaded."""
    import spacy

    if not (spacy.util.is_package(model) or Path(model).is_dir()):
        remedy = f"install it, as with `python -m spacy download {model}`, or correct the name"
        if "/" in model:
            remedy = "correct the path"
        elif model.endswith("_trf"):
            remedy = "name one that needs no torch, such as en_core_web_sm"
        raise UserError(
            f"ingest.presidio.model: expected an installed spaCy pipeline or its folder, found no {model}; {remedy}"
        )
    try:
        return spacy.load(model)
    except (ImportError, OSError, ValueError) as error:
        raise UserError(
            f"ingest.presidio.model: expected a pipeline for spaCy {spacy.__version__} that needs no torch, found "
            f"{model}, which gives {type(error).__name__}; install one of this version"
        ) from None


def lowercase_lemmas(document: Any) -> Any:
    """A spaCy Doc with each word in lower case as its lemma."""
    for token in document:
        token.lemma_ = token.lower_
    return document


def entity_labels(pipeline: Any) -> set[str]:
    """The labels of the entities that a spaCy pipeline finds."""
    finders = [name for name in pipeline.pipe_names if "doc.ents" in pipeline.get_pipe_meta(name).assigns]
    return {label for name in finders for label in pipeline.pipe_labels.get(name, [])}


def pattern_recognizers(language: str) -> list[Any]:
    """Presidio's recognizers for a language that need the text alone, also those that it leaves off by itself."""
    from presidio_analyzer import PatternRecognizer
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer
    from presidio_analyzer.recognizer_registry.recognizers_loader_utils import (
        RecognizerConfigurationLoader,
        RecognizerListLoader,
    )

    settings = RecognizerConfigurationLoader.get(registry_configuration={"supported_languages": [language]})
    chosen = []
    for entry in settings["recognizers"]:
        spoken = [item for item in entry.get("supported_languages") or [language] if language in (item, name_of(item))]
        kind = RecognizerListLoader.get_existing_recognizer_cls(entry["name"])
        if spoken and issubclass(kind, PatternRecognizer | PhoneRecognizer):  # others ask servers or download models
            chosen.append({**entry, "enabled": True, "supported_languages": spoken})
    loader: Any = RecognizerListLoader  # its types say a dictionary for what is a list
    return list(loader.get(chosen, [language], settings["global_regex_flags"]))


def name_of(language: Any) -> Any:
    """The code of a language that Presidio's settings give with words of its own."""
    return language.get("language") if isinstance(language, dict) else language
