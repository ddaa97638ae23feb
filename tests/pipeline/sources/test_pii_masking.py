"""PII masking: valid numbers and addresses are masked, and other numbers stay."""

import pytest

from pipeline.sources.pii_masking import mask_pii, mask_texts
from tests.support.ingesting import params


@pytest.mark.parametrize(
    ("raw", "masked"),
    [
        ("write to jo.doe+x@mail.example.co.uk, now", "write to [EMAIL], now"),
        ("card 4111 1111 1111 1111 12/27", "card [CARD] 12/27"),
        ("paid with 5500-0000-0000-0004.", "paid with [CARD]."),
        ("order 4111111111111112 is late", "order 4111111111111112 is late"),
        ("order 41111111111111111234567 is late", "order 41111111111111111234567 is late"),
        ("to de89 3704 0044 0532 0130 00 and GB29NWBK60161331926819 today", "to [IBAN] and [IBAN] today"),
        ("ref AB12 DE89370400440532013000 thanks", "ref AB12 [IBAN] thanks"),
        ("to DE88 3704 0044 0532 0130 00 today", "to DE88 3704 0044 0532 0130 00 today"),
        ("call (415) 555-2671 or +44 20 7946 0958!", "call [PHONE] or [PHONE]!"),
        ("in 2024 I bought 3 for 19.99", "in 2024 I bought 3 for 19.99"),
    ],
)
def test_personal_data_is_masked_and_other_numbers_stay(raw: str, masked: str) -> None:
    assert mask_pii(raw, params()) == masked


def test_phone_numbers_without_country_need_a_region() -> None:
    (text,) = mask_texts(["call 415-555-2671 or +1 415 555 2671"], params(phone_region=None))
    assert text == "call 415-555-2671 or [PHONE]"
