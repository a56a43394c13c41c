"""Reports as plain text: what makes two of them equal, and the words they are made of."""

import re
import unicodedata

# multiples and exponents are part of a unit: cm2, ml/m2, m/s; Greek mu is what NFKC makes of the micro sign
_UNIT = (
    r"(?:mmhg|kpa|hpa|bpm|khz|mhz|hz|mmol|mol|dpt|min|db|kg|mg|μg|ng|pg|ml|dl|cl|km|cm|mm|μm|nm|ms|[gmlsh])"
)
_LETTER = r"[^\W\d_]"
# characters that are words each, as there are no blanks between them: CJK ideographs, kana
_IDEOGRAPH = r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WORDS = re.compile(
    rf"{_NUMBER.pattern}"
    rf"|{_UNIT}[23]?(?:/{_UNIT}[23]?)*(?!(?!{_IDEOGRAPH})\w)"
    rf"|{_IDEOGRAPH}"
    rf"|(?:(?!{_IDEOGRAPH}){_LETTER}[\u0300-\u036f]*)+"
    r"|\S"
)
# what is measured; longer numbers are dates, telephones and names of patients
_MEASURED = r"\d{1,3}(?:[.,]\d{1,3})?"
_WHOLE = re.compile(rf"{_MEASURED}|{_UNIT}[23]?(?:/{_UNIT}[23]?)*")


def normalised(text: str) -> str:
    """A report without what does not change its meaning; two reports are equal if these are.

    Compatible characters are the same (NFKC: full-width forms, superscripts, ligatures), capitals are small,
    and any run of blanks and line breaks is one blank.

    Args:
        text: of a report, or of a part of it.
    """
    small = unicodedata.normalize("NFKC", text).lower()
    return " ".join(unicodedata.normalize("NFKC", small).split())


def words_of(text: str) -> list[str]:
    """The words, numbers, units, ideographs and signs of a report, in order.

    Numbers keep their decimals, with point or comma, and units their exponents and fractions:
    ``Vmax 4,6m/s`` is ``vmax``, ``4,6``, ``m/s``.

    Args:
        text: as it was written; it is normalised first.
    """
    return _WORDS.findall(normalised(text))


def is_number(word: str) -> bool:
    """Whether a word of :func:`words_of` is a number of any length."""
    return _NUMBER.fullmatch(word) is not None


def is_whole(word: str) -> bool:
    """Whether a word is a measured number or a unit, with exponent and fraction: not to be cut."""
    return _WHOLE.fullmatch(word) is not None
