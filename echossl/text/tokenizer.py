"""Word pieces, learned from the reports themselves: any language, numbers and units whole."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from echossl.errors import UserError
from echossl.text.reports import is_number, is_whole, words_of

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONTINUED = "##"
# numbers that are not among the pieces as a whole are spelled with these
DIGITS = "0123456789.,"
# share of the pieces that numbers and units may take, and that single characters may
WHOLE_SHARE, CHARACTER_SHARE = 0.25, 0.6
LEAST_REPORTS = 2
MOST_KEPT = 100_000


class Tokenizer:
    """Word pieces (Wu et al., arXiv 1609.08144) of normalised reports, the longest that fits first.

    Measured numbers and units of the training reports are pieces as a whole, the most frequent first, as long
    as they take no more than a quarter of the pieces; others are spelled, digit by digit. No piece is learned
    of a word that one report alone has, nor of long numbers: pieces are kept with the weights, and such words
    may be names. Reports of which several hold a name have to be freed of it first.

    Args:
        pieces: by number; the first five are the special ones.

    Raises:
        UserError: if the library ``tokenizers`` is missing.
    """

    PAD: ClassVar[int] = 0
    UNK: ClassVar[int] = 1
    CLS: ClassVar[int] = 2
    SEP: ClassVar[int] = 3
    MASK: ClassVar[int] = 4

    def __init__(self, pieces: Sequence[str]) -> None:
        if tuple(pieces[: len(SPECIAL)]) != SPECIAL:
            raise ValueError(f"the first pieces are {list(pieces[: len(SPECIAL)])}, expected {list(SPECIAL)}")
        self.pieces = tuple(pieces)
        vocabulary = {piece: number for number, piece in enumerate(pieces)}
        self._model = _library().models.WordPiece(vocab=vocabulary, unk_token=SPECIAL[self.UNK])
        self._pieces_of = lru_cache(maxsize=MOST_KEPT)(self._split)

    @classmethod
    def train(cls, reports: Iterable[str], *, size: int) -> "Tokenizer":
        """Learn the pieces of reports; the same reports in any order give the same pieces.

        Args:
            reports: texts, of any language; repeated ones count as often.
            size: number of pieces, at most.
        """
        texts = [words_of(report) for report in reports]
        every = Counter(word for words in texts for word in words)
        in_reports = Counter(word for words in texts for word in set(words))
        counts = {word: n for word, n in every.items() if in_reports[word] >= LEAST_REPORTS}
        whole = _most_frequent({word: n for word, n in counts.items() if is_whole(word)}, size * WHOLE_SHARE)
        first = [*SPECIAL, *_characters(every, size), *(word for word in whole if len(word) > 1)]
        rest = {word: n for word, n in counts.items() if not (is_whole(word) or is_number(word))}
        return cls(_merged(rest, first, size))

    def encode(self, texts: Sequence[str], *, length: int) -> npt.NDArray[np.int64]:
        """Numbers of the pieces: ``[CLS]``, those of the text, ``[SEP]``, then ``[PAD]``.

        Args:
            texts: as they were written.
            length: of every row; longer texts are cut, see :meth:`cut`.

        Returns:
            int64 (texts, length).
        """
        rows = np.full((len(texts), length), self.PAD, dtype=np.int64)
        for row, text in zip(rows, texts, strict=True):
            numbers = [self.CLS, *self._numbers(text)[: length - 2], self.SEP]
            row[: len(numbers)] = numbers
        return rows

    def cut(self, texts: Sequence[str], *, length: int) -> npt.NDArray[np.bool_]:
        """Which texts have more pieces than fit into ``length`` with the two special ones: bool (texts,)."""
        return np.array([len(self._numbers(text)) > length - 2 for text in texts], dtype=np.bool_)

    def decode(self, ids: Iterable[int]) -> str:
        """The normalised text of numbers, its words apart; without padding, beginning and end."""
        silent = {self.PAD, self.CLS, self.SEP}
        pieces = [self.pieces[number] for number in map(int, ids) if number not in silent]
        return " ".join(pieces).replace(f" {CONTINUED}", "")

    def to_json(self) -> str:
        """All that :meth:`from_json` needs."""
        return json.dumps({"kind": "word_pieces", "pieces": self.pieces}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Tokenizer":
        """The tokenizer that :meth:`to_json` described.

        Raises:
            UserError: if the text is not of a tokenizer.
        """
        try:
            return cls(json.loads(text)["pieces"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"tokenizer: found no pieces of text ({error}); take the file that pre-training wrote"
            ) from error

    def __len__(self) -> int:
        return len(self.pieces)

    def _numbers(self, text: str) -> list[int]:
        return [number for word in words_of(text) for number in self._pieces_of(word)]

    def _split(self, word: str) -> tuple[int, ...]:
        return tuple(token.id for token in self._model.tokenize(word))


def _most_frequent(counts: dict[str, int], most: float) -> list[str]:
    """Keys by count, then by themselves, so that the order of the reports plays no part."""
    return sorted(counts, key=lambda word: (-counts[word], word))[: int(most)]


def _characters(counts: Mapping[str, int], size: int) -> list[str]:
    """Digits and the most frequent characters, alone and, if they stand in longer words, as they go on."""
    single: Counter[str] = Counter()
    for word, count in counts.items():
        single.update(dict.fromkeys(word, count))
    in_longer = {character for word in counts if len(word) > 1 for character in word}
    pieces = [*DIGITS, *(CONTINUED + digit for digit in DIGITS)]
    for character in _most_frequent(dict(single), len(single)):
        forms = [character, CONTINUED + character] if character in in_longer else [character]
        if len(pieces) + len(forms) > size * CHARACTER_SHARE:
            break
        pieces += [form for form in forms if form not in pieces]
    return sorted(pieces)


def _merged(counts: dict[str, int], first: list[str], size: int) -> list[str]:
    """Pieces of words, merged pair by pair.

    All single characters are given beforehand: where the library meets one by itself, its number depends on
    the order of a hash table that is seeded anew in every process.
    """
    library, known = _library(), set(first)
    tokenizer = library.Tokenizer(library.models.WordPiece(unk_token=SPECIAL[Tokenizer.UNK]))
    tokenizer.pre_tokenizer = library.pre_tokenizers.WhitespaceSplit()
    trainer = library.trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=first, min_frequency=LEAST_REPORTS, show_progress=False
    )
    spelled = sorted(word for word in counts if known.issuperset(_spelling(word)))
    tokenizer.train_from_iterator((" ".join([word] * counts[word]) for word in spelled), trainer)
    numbers: dict[str, int] = tokenizer.get_vocab(with_added_tokens=False)
    return sorted(numbers, key=numbers.__getitem__)


def _spelling(word: str) -> list[str]:
    return [word[0], *(CONTINUED + character for character in word[1:])]


def _library() -> Any:
    try:
        library = import_module("tokenizers")
    except ImportError as error:
        raise UserError("reports need the package tokenizers; pip install 'echossl[text]'") from error
    for part in ("models", "pre_tokenizers", "trainers"):
        import_module(f"tokenizers.{part}")
    return library
