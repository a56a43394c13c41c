"""Orders of the data room: natural order of names, and random orders that no table layout can change."""

import hashlib
import re
from collections.abc import Iterable


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key that puts ``image_5`` before ``image_10``.

    Digits compare as numbers and before letters; letters compare without case.
    """
    parts = re.split(r"([0-9]+)", text)
    key = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part.casefold()) for part in parts if part)
    # names that differ only in case or leading zeros still need one fixed order
    return (*key, (2, 0, text))


def shuffled(names: Iterable[str], *key: object) -> list[str]:
    """The names in a random order that depends only on the key and the names themselves.

    Every name gets its place from a hash of (key, name): the order of the input does not matter, and a name
    that joins or leaves does not move the others past each other. That makes subsets nested.
    """
    salt = repr(key).encode()
    return sorted(names, key=lambda name: (hashlib.blake2b(name.encode(), key=_digest(salt)).digest(), name))


def _digest(salt: bytes) -> bytes:
    # the key of blake2b holds 64 bytes at most
    return hashlib.blake2b(salt, digest_size=32).digest()
