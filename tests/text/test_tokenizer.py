"""Word pieces keep numbers and units whole, in any language, and are the same in every process."""

from importlib import import_module

import numpy as np
import pytest

from echossl.errors import UserError
from echossl.text import Tokenizer, normalised
from echossl.text.reports import is_whole, words_of
from echossl.text.tokenizer import SPECIAL

ENGLISH = [
    "Severe aortic stenosis, peak velocity 4.6 m/s, valve area 0.7 cm2.",
    "No aortic stenosis (Vmax 1.2 m/s). Normal ejection fraction (58 %).",
    "Left atrial volume index 41 mL/m2, mean gradient 45 mmHg.",
] * 5
GERMAN = [
    "Hochgradige Aortenklappenstenose, Vmax 4,6 m/s, Öffnungsfläche 0,7 cm².",
    "Der linke Vorhof ist vergrößert. Septum 1,3 cm.",
] * 5
CHINESE = [
    "双眼正常眼底。",
    "左眼糖尿病视网膜病变、黄斑水肿、厚度412μm。",
    "主动脉瓣重度狭窄、峰值流速4.6m/s。",
] * 5
EVERYTHING = [*ENGLISH, *GERMAN, *CHINESE]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.train(EVERYTHING, size=600)


def pieces(tokenizer: Tokenizer, text: str) -> list[str]:
    ids = tokenizer.encode([text], length=64)[0]
    return [tokenizer.pieces[number] for number in ids if number != Tokenizer.PAD]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Vmax 4.6 m/s, AVA 0,7cm2", ["vmax", "4.6", "m/s", ",", "ava", "0,7", "cm2"]),
        ("LAVI 41 mL/m² (ΔP 45mmHg)", ["lavi", "41", "ml/m2", "(", "δp", "45", "mmhg", ")"]),
        ("Öffnungsfläche mäßig.", ["öffnungsfläche", "mäßig", "."]),
        ("左眼OCT 412μm。", ["左", "眼", "oct", "412", "μm", "。"]),
        ("流速4.6m/s升高", ["流", "速", "4.6", "m/s", "升", "高"]),
        ("mild/moderate AS, E/e' 12", ["mild", "/", "moderate", "as", ",", "e", "/", "e", "'", "12"]),
        ("Ventricle ¾ [CLS] snow", ["ventricle", "3", "\u2044", "4", "[", "cls", "]", "snow"]),
    ],
)
def test_words_numbers_and_units(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize("word", ["4.6", "4,6", "120", "m/s", "cm2", "ml/m2", "mmhg"])
def test_numbers_and_units_are_whole(word: str) -> None:
    assert is_whole(word)


@pytest.mark.parametrize(
    "word", ["stenosis", "as", "m/x", "4.", "。", "12.05.2021", "20210512", "1234", "0.1234"]
)
def test_words_are_not(word: str) -> None:
    assert not is_whole(word)


def test_equal_reports_differ_in_capitals_blanks_and_forms_alone() -> None:
    assert normalised("Severe\n AS,  0.7 cm²") == normalised("severe as, 0.7 CM2 ")
    assert normalised("\uff21\uff22\u3000\uff23") == "ab c"
    assert normalised("A\u0308nderung") == normalised("Änderung")
    assert normalised("Severe AS") != normalised("No severe AS")


def test_reports_come_back(tokenizer: Tokenizer) -> None:
    for text in EVERYTHING:
        ids = tokenizer.encode([text], length=64)[0]
        assert ids[0] == Tokenizer.CLS
        assert Tokenizer.UNK not in ids
        assert tokenizer.decode(ids) == " ".join(words_of(text))


def test_numbers_and_units_stay_whole_where_they_were_learned(tokenizer: Tokenizer) -> None:
    for text, wanted in [
        ("peak velocity 4.6 m/s", {"4.6", "m/s"}),
        ("Vmax 4,6 m/s, 0,7 cm2", {"4,6", "0,7", "cm2"}),
        ("41 ml/m2, 45 mmHg, 厚度412μm", {"41", "ml/m2", "45", "mmhg", "412", "μm"}),
    ]:
        assert wanted <= set(pieces(tokenizer, text))


def test_a_number_that_was_never_seen_is_spelled(tokenizer: Tokenizer) -> None:
    assert "9.87" not in tokenizer.pieces
    ids = tokenizer.encode(["gradient 9.87 mmhg"], length=32)[0]
    assert Tokenizer.UNK not in ids
    assert tokenizer.decode(ids) == "gradient 9.87 mmhg"


def test_frequent_words_are_one_piece(tokenizer: Tokenizer) -> None:
    assert {"aortic", "stenosis", "vorhof"} <= set(pieces(tokenizer, "aortic stenosis Vorhof"))


def test_special_pieces_are_never_made_of_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(["[MASK] [SEP] [CLS] [PAD] severe"], length=40)[0]
    body = ids[1 : np.flatnonzero(ids == Tokenizer.SEP)[0]]
    assert not set(body.tolist()) & {Tokenizer.PAD, Tokenizer.CLS, Tokenizer.SEP, Tokenizer.MASK}
    assert tokenizer.pieces[:5] == SPECIAL


def test_encoding_pads_cuts_and_says_so(tokenizer: Tokenizer) -> None:
    texts = ["severe", "severe aortic stenosis , peak velocity 4.6 m/s", ""]
    ids = tokenizer.encode(texts, length=6)
    assert ids.shape == (3, 6)
    assert ids.dtype == np.int64
    assert ids[0, -1] == Tokenizer.PAD
    assert ids[1, -1] == Tokenizer.SEP
    assert ids[2].tolist() == [Tokenizer.CLS, Tokenizer.SEP, 0, 0, 0, 0]
    assert tokenizer.cut(texts, length=6).tolist() == [False, True, False]
    exactly = int((tokenizer.encode(texts[1:2], length=64) != 0).sum())
    assert tokenizer.cut(texts[1:2], length=exactly).tolist() == [False]
    assert tokenizer.cut(texts[1:2], length=exactly - 1).tolist() == [True]


def test_the_order_of_reports_plays_no_part(tokenizer: Tokenizer) -> None:
    assert Tokenizer.train(EVERYTHING[::-1], size=600).pieces == tokenizer.pieces


def test_pieces_do_not_depend_on_the_order_of_a_hash_table(tokenizer: Tokenizer) -> None:
    # the library seeds every table anew: left to itself it numbers the pieces otherwise each time
    library = import_module("tokenizers")
    words = " ".join(word for text in EVERYTHING for word in words_of(text))
    alone = set()
    for _ in range(4):
        other = library.Tokenizer(library.models.WordPiece(unk_token=SPECIAL[1]))
        other.pre_tokenizer = library.pre_tokenizers.WhitespaceSplit()
        trainer = library.trainers.WordPieceTrainer(vocab_size=600, show_progress=False)
        other.train_from_iterator([words], trainer)
        alone.add(tuple(sorted(other.get_vocab(), key=other.get_vocab().__getitem__)))
    assert len(alone) > 1
    for _ in range(4):
        assert Tokenizer.train(EVERYTHING, size=600).pieces == tokenizer.pieces


@pytest.mark.parametrize("size", [200, 250, 300])
def test_no_more_pieces_than_asked_for(size: int) -> None:
    found = Tokenizer.train(EVERYTHING, size=size)
    assert len(found) <= size
    assert len(set(found.pieces)) == len(found)


def test_numbers_take_a_quarter_at_most() -> None:
    reports = [f"velocity {number / 10} m/s" for number in range(1000)]
    found = Tokenizer.train(reports, size=200)
    assert sum(is_whole(piece) and len(piece) > 1 for piece in found.pieces) <= 50
    assert "m/s" in found.pieces


def test_json_brings_the_same_tokenizer_back(tokenizer: Tokenizer) -> None:
    again = Tokenizer.from_json(tokenizer.to_json())
    assert again.pieces == tokenizer.pieces
    assert np.array_equal(again.encode(EVERYTHING, length=40), tokenizer.encode(EVERYTHING, length=40))
    with pytest.raises(UserError, match="found no pieces"):
        Tokenizer.from_json('{"pieces": ["a"]}')


def test_the_smallest_vocabulary_holds_all_letters() -> None:
    """Nothing in a language of 26 letters is unknown, however few the pieces are."""
    found = Tokenizer.train(["pack my box with five dozen liquor jugs", *ENGLISH], size=200)
    ids = found.encode(["quick brown fox jumps over the lazy dog, vmax 9.87 m/s"], length=100)
    assert Tokenizer.UNK not in ids


def test_no_piece_is_learned_of_what_may_be_a_name() -> None:
    """Words of one report alone, and long numbers however often, are spelled."""
    reports = [
        f"Study 47110815 of 12.05.2021: stenosis, Vmax 4.6 m/s. Dr Haversham-{place}" for place in "ab"
    ]
    found = Tokenizer.train([*reports, "Patient Featherstonehaugh Featherstonehaugh, stenosis."], size=300)
    longest = {piece.removeprefix("##") for piece in found.pieces if len(piece.removeprefix("##")) > 2}
    assert {"stenosis", "4.6", "m/s", "vmax", "haversham"} <= longest
    assert not any(piece in "featherstonehaugh" or piece[:1].isdigit() for piece in longest - {"4.6"})
    ids = found.encode(["featherstonehaugh 47110815"], length=64)[0]
    assert Tokenizer.UNK not in ids
