"""Presidio's masks: patterns without a model, persons and places by a spaCy pipeline; nothing is downloaded."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.sources import presidio_masks
from pipeline.sources.pii_masking import check_masks, mask_pii, mask_texts
from pipeline.sources.presidio_engine import load_analyzer
from tests.support.ingesting import ROOT, params
from tests.support.spacy_pipeline import save_pipeline

FOUND = {"Ada Byron": "PERSON", "Ada Byron 943": "PERSON", "Lyon": "GPE", "Zorg": "SPECIES", "EMAIL": "PERSON"}
LOADED = """
import sys
from importlib.util import find_spec
from pipeline.sources.pii_masking import mask_pii
from tests.support.ingesting import params
names = ("spacy", "presidio_analyzer", "torch", "transformers")
mask_pii("Ada, 219-09-9998", params(mask_pii=True))
print(*(name for name in names if name in sys.modules))
mask_pii("Ada, 219-09-9998", params(mask_pii=True, presidio={"entities": ["US_SSN"], "model": None, "language": "en",
         "min_score": 0.4}))
print(*(name for name in names if name in sys.modules), find_spec("torch") is not None)
"""


def masking(*entities: str, **changes: Any) -> Ingest:
    """Params of ingest by which Presidio masks these entities."""
    presidio = {"entities": list(entities), "model": None, "language": "en", "min_score": 0.4}
    return params(mask_pii=True, phone_region=None, presidio=presidio | changes)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a pipeline that finds what FOUND names."""
    return str(save_pipeline(tmp_path_factory.mktemp("spacy") / "pipeline", FOUND))


@pytest.mark.parametrize(
    ("raw", "masked"),
    [
        ("my number is 219-09-9998, thanks", "my number is [US_SSN], thanks"),
        ("the order 666-09-9998 and 219-00-9998", "the order 666-09-9998 and 219-00-9998"),  # never given out
        ("my passport is 340020013", "my passport is [US_PASSPORT]"),
        ("order 340020013 is late", "order 340020013 is late"),  # the same pattern without a word that speaks for it
        ("NHS 943 476 5919 and 943 476 5918", "NHS [UK_NHS] and 943 476 5918"),  # by its check digit
        ("Ada Byron of Lyon wrote", "Ada Byron of Lyon wrote"),
    ],
)
def test_patterns_need_no_model(raw: str, masked: str) -> None:
    assert mask_pii(raw, masking("US_SSN", "US_PASSPORT", "UK_NHS")) == masked


@pytest.mark.parametrize(
    ("raw", "masked"),
    [
        ("Ada Byron of Lyon wrote\nAda Byron", "[PERSON] of [LOCATION] wrote\n[PERSON]"),
        ("219-09-9998 is Ada Byron", "[US_SSN] is [PERSON]"),
        ("a Zorg in Lyon", "a [SPECIES] in [LOCATION]"),  # a label of the pipeline that Presidio does not know
        ("Ada Byron, ada@example.org, +1 415 555 2671", "[PERSON], [EMAIL], [PHONE]"),  # [EMAIL] is no [[PERSON]]
    ],
)
def test_persons_and_places_are_found_by_a_spacy_pipeline(model: str, raw: str, masked: str) -> None:
    wanted = masking("PERSON", "LOCATION", "US_SSN", "SPECIES", model=model)
    assert mask_pii(raw, wanted) == masked
    assert mask_pii(masked, wanted) == masked


def test_of_two_that_overlap_the_surer_one_comes_first_and_nothing_of_the_other_is_left(model: str) -> None:
    assert mask_pii("by Ada Byron 943 476 5919.", masking("PERSON", "UK_NHS", model=model)) == "by [PERSON] [UK_NHS]."


def test_only_the_named_entities_above_the_score_are_masked(model: str) -> None:
    assert mask_pii("Ada Byron, 219-09-9998", masking("US_SSN", model=model)) == "Ada Byron, [US_SSN]"
    assert mask_pii("Ada Byron, 219-09-9998", masking("US_SSN", min_score=0.9)) == "Ada Byron, 219-09-9998"


def test_many_texts_are_masked_as_one_is(model: str) -> None:
    wanted = masking("PERSON", "US_SSN", model=model)
    texts = ["", *(f"Ada Byron {number} wrote to 219-09-{number}" for number in range(9000, 9000 + 600))]
    assert mask_texts(texts, wanted) == [mask_pii(text, wanted) for text in texts]


def test_patterns_of_other_languages_are_known() -> None:
    assert mask_pii("mi DNI es 12345678Z", masking("ES_NIF", language="es")) == "mi DNI es [ES_NIF]"
    with pytest.raises(UserError, match="what Presidio's patterns for es can find, found US_SSN; name a spaCy"):
        check_masks(masking("US_SSN", language="es"))


@pytest.mark.parametrize(
    ("entities", "changes", "message"),
    [
        (["PERSON"], {}, r"entities: expected what Presidio's patterns for en can find, found PERSON; name a spaCy"),
        (["us_ssn"], {}, r"entities: .* found us_ssn, which may be meant as US_SSN; name"),
        (["US_SNN"], {}, r"entities: .* found US_SNN, which may be meant as US_SSN; name"),
        (["US_SSN"], {"language": "qq"}, r"language: expected a language that spaCy can read .*, found qq"),
        (["US_SSN"], {"model": "en_no_such"}, r"model: expected an installed spaCy pipeline .*, found no en_no_such"),
        (["US_SSN"], {"model": "en_core_web_trf"}, r"model: .*, found no en_core_web_trf; name one that needs no"),
        (["US_SSN"], {"model": "no/such"}, r"model: .*, found no no/such; correct the path"),
        (["DATE"], {"model": "THE MODEL"}, r"entities: .* for en or the spaCy pipeline .*, found DATE, which may"),
        (["ES_NIF"], {"model": "THE MODEL", "language": "es"}, r"language: expected en, the language of .*, found es"),
    ],
)
def test_what_this_machine_cannot_mask_is_one_line(
    entities: list[str], changes: dict[str, str], message: str, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spacy.cli.download", lambda *_: pytest.fail("Presidio began to download a model"))
    changes = {key: model if value == "THE MODEL" else value for key, value in changes.items()}
    with pytest.raises(UserError, match=rf"^ingest\.presidio\.{message}") as caught:
        check_masks(masking(*entities, **changes))
    assert "\n" not in str(caught.value)


def test_a_folder_that_holds_no_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"ingest\.presidio\.model: expected a pipeline for spaCy .*, which gives OSError"
    ):
        check_masks(masking("PERSON", model=str(tmp_path)))


def test_without_the_package_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    load_analyzer.cache_clear()
    monkeypatch.setattr("pipeline.sources.presidio_engine.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"expected the package presidio-analyzer, found none; install it with `pip"):
        check_masks(masking("US_SSN"))


def test_an_error_quotes_no_text_and_the_next_text_is_masked() -> None:
    wanted = masking("US_SSN")
    with pytest.raises(UserError, match=r"expected texts that Presidio can read, found a ValueError among 2 texts"):
        mask_texts(["a", "219-09-9998 " * 90_000], wanted)  # more characters than spaCy reads
    assert mask_pii("secret 219-09-9998", wanted) == "secret [US_SSN]"


def test_the_vocabulary_does_not_grow_with_the_texts() -> None:
    wanted = masking("US_SSN")
    mask_texts(["begin with 219-09-9998"], wanted)
    vocabulary = load_analyzer(None, "en", ("US_SSN",)).nlp_engine.get_nlp("en").vocab
    before = len(vocabulary.strings)
    mask_texts([f"word{number} 219-09-9998" for number in range(3 * presidio_masks.BATCH_TEXTS)], wanted)
    assert len(vocabulary.strings) == before


def test_the_list_of_domains_is_not_fetched() -> None:
    check_masks(masking("EMAIL_ADDRESS"))
    from tldextract import tldextract

    assert tldextract.TLD_EXTRACTOR.suffix_list_urls == ()


def test_nothing_is_imported_that_params_do_not_ask_for() -> None:
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", LOADED], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "\nspacy presidio_analyzer True\n"
