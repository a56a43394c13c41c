"""Natural order of names: the order in which a person numbers pictures and files."""

import re


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts ``image_5`` before ``image_10``.

    Digits compare as numbers and before letters; letters compare without case.
    """
    parts = re.split(r"([0-9]+)", text)
    key = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts if part)
    # names that differ only in case or leading zeros still need one fixed order
    return (*key, (2, 0, text))
