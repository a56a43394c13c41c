"""Damage done to good files, the same at every run."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice, product

import numpy as np
from fuzz_lies import LIARS
from fuzz_samples import FILES, HEIGHT, NUM_FRAMES, WIDTH

FOLDER = "frame_folder"
NAMES = [*FILES, FOLDER]
MUTANTS_PER_KIND = 72
HEADER_BYTES = 512
ABSURD = (65535, 2**31 - 1, 2**31, 2**32 - 1, 10**9)


@dataclass(frozen=True)
class Mutant:
    """A damaged file.

    Attributes:
        label: the kind of file it was, and what was done to it.
        file_name: what it is called.
        content: its bytes; for a folder of pictures those of one of them.
    """

    label: str
    file_name: str
    content: bytes


@cache
def good(name: str) -> bytes:
    """The content of a good file; of a folder, that of a picture in it."""
    return FILES["picture.png" if name == FOLDER else name]()


def mutants_of(name: str) -> list[Mutant]:
    """``MUTANTS_PER_KIND`` damaged versions of one kind of file, and the lies that are known by heart."""
    generator = np.random.default_rng(NAMES.index(name))
    lies = [(f"lie {number}", make()) for number, make in enumerate(LIARS.get(name, []))]
    planned = [*lies, *_simple(good(name)), *_swapped(name, generator), *_absurd(good(name), generator)]
    blind = islice(_blind(good(name), generator), max(MUTANTS_PER_KIND - len(planned) - 4, 0))
    mutants = [Mutant(f"{name}: {what}", name, content) for what, content in [*planned, *blind]]
    others = generator.permutation([other for other in FILES if other != name])[:4]
    renamed = [Mutant(f"{name}: called {other}", str(other), good(name)) for other in others]
    return mutants + (renamed if name != FOLDER else [])


def _simple(content: bytes) -> Iterator[tuple[str, bytes]]:
    for length in (0, 1, 4, 132, len(content) // 2, len(content) - 1):
        yield f"cut to {length} bytes", content[:length]
    yield "twice", content * 2
    yield "zeros behind the header", content[:HEADER_BYTES] + bytes(len(content[HEADER_BYTES:]))


def _swapped(name: str, generator: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """The beginning of another kind of file."""
    for other in generator.permutation([other for other in FILES if other != name])[:6]:
        length = int(generator.choice([4, 16, 132, 352]))
        yield f"{length} bytes of {other}", good(str(other))[:length] + good(name)[length:]


def _absurd(content: bytes, generator: np.random.Generator) -> list[tuple[str, bytes]]:
    """Wherever a size or a number of frames may be written, another."""
    changed = {}
    for value, form, absurd in product((WIDTH, HEIGHT, NUM_FRAMES), ("<L", ">L", "<H", ">H"), ABSURD):
        limit = 2 ** (8 * struct.calcsize(form)) - 1
        old, new = struct.pack(form, value), struct.pack(form, min(absurd, limit))
        # headers stand at the beginning, in MP4 at the end
        ends = content[:1500].replace(old, new), content[-1500:].replace(old, new)
        result = ends[0] + content[1500:-1500] + (ends[1] if len(content) > 3000 else content[1500:])
        if result != content:
            changed[result] = f"{value} becomes {absurd} as {form}"
    chosen = generator.permutation(len(changed))[:20]
    return [(what, result) for number, (result, what) in enumerate(changed.items()) if number in chosen]


def _blind(content: bytes, generator: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    ways = (_cut, _flip_few, _flip_header, _flip_many, _overwrite, _remove, _repeat)
    for number, way in enumerate(cycle(ways)):
        yield f"{way.__name__[1:]} {number}", way(content, generator)


def _cut(content: bytes, generator: np.random.Generator) -> bytes:
    return content[: generator.integers(len(content))]


def _flip_few(content: bytes, generator: np.random.Generator) -> bytes:
    return _flipped(content, generator.integers(8 * len(content), size=4))


def _flip_header(content: bytes, generator: np.random.Generator) -> bytes:
    return _flipped(content, generator.integers(8 * min(HEADER_BYTES, len(content)), size=3))


def _flip_many(content: bytes, generator: np.random.Generator) -> bytes:
    return _flipped(content, generator.integers(8 * len(content), size=max(len(content) // 50, 1)))


def _overwrite(content: bytes, generator: np.random.Generator) -> bytes:
    start, length = int(generator.integers(len(content))), int(generator.choice([2, 4, 8, 64]))
    filling = generator.choice([b"\0", b"\xff", b"\x7f"]) * length
    return content[:start] + filling + content[start + length :]


def _remove(content: bytes, generator: np.random.Generator) -> bytes:
    start, length = int(generator.integers(len(content))), int(generator.integers(1, 200))
    return content[:start] + content[start + length :]


def _repeat(content: bytes, generator: np.random.Generator) -> bytes:
    start, length = int(generator.integers(len(content))), int(generator.integers(1, 200))
    return content[: start + length] + content[start:]


def _flipped(content: bytes, bits: np.ndarray) -> bytes:
    array = np.frombuffer(content, dtype=np.uint8).copy()
    np.bitwise_xor.at(array, bits // 8, (1 << bits % 8).astype(np.uint8))
    return array.tobytes()
