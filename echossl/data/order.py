"""Orders of the data room: natural order of names, and random orders that no table layout can change."""

import hashlib
from collections.abc import Iterable

from echossl.video.order import natural_key

__all__ = ["natural_key", "shuffled"]


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
