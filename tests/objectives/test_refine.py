"""Refinement: each loss as a plain loop has it, each reaches the encoder, each can be left out."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from echossl.config.encoder import Compact3DConfig
from echossl.config.refine import RefineConfig
from echossl.config.text import OwnTextConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.objectives.draws import GENERATION_STREAM, MATCHING_STREAM, WORD_STREAM, draw_numbers
from echossl.objectives.refine import Refine
from echossl.objectives.report_losses import hide_words
from echossl.text import Tokenizer

REPORTS = (
    "Severe aortic stenosis, peak velocity 4.6 m/s.",
    "No aortic stenosis.",
    "no  aortic STENOSIS.",
    "Dilated left atrium. No pericardial effusion is seen today.",
    "Mild AS, mean gradient 12 mmHg.",
    "Pericardial effusion of 1.2 cm.",
)
TEXT = OwnTextConfig(width=16, depth=1, heads=2, length=16, vocabulary_size=200)
ALL = RefineConfig(text=TEXT, projection_dim=8)
LOSSES = ("contrast", "matching", "masked_words", "generation")


def only(*names: str, **more: object) -> RefineConfig:
    weights = dict.fromkeys(LOSSES, 0.0) | dict.fromkeys(names, 1.0)
    shared = {"projection_dim": 8} if "contrast" in names else {}
    return RefineConfig.model_validate({"text": TEXT, **weights, **shared, **more})


def make(config: RefineConfig = ALL) -> tuple[Encoder, Refine]:
    torch.manual_seed(0)
    metadata = EncoderMetadata(architecture=Compact3DConfig(width=4), clip=ClipConfig(num_frames=4), size=16)
    encoder = build_encoder(metadata)
    objective = Refine(config, encoder.dim, REPORTS * 4)
    objective.seed = 1
    for parameter in objective.parameters():  # so that words and pictures make a difference
        torch.nn.init.normal_(parameter, std=0.3) if parameter.ndim else None
    return encoder.eval(), objective


def batch(step: int = 0) -> Batch:
    clips = torch.rand(6, 1, 1, 4, 16, 16, generator=torch.Generator().manual_seed(step))
    videos = torch.zeros(6, 1, dtype=torch.int64)
    patients = torch.tensor([0, 1, 2, 3, 4, 4])  # the last two are of one patient
    return Batch(clips, patients, videos, step=step, reports=REPORTS)


def plain_ids(objective: Refine) -> Tensor:
    return torch.from_numpy(objective.tokenizer.encode(REPORTS, length=TEXT.length))


def plain_similarities(encoder: Encoder, objective: Refine) -> Tensor:
    rows = []
    for picture in encoder(batch().clips[:, 0]):
        row = []
        for ids in plain_ids(objective):
            text = objective.text_head.weight @ objective.text(ids[None])[0, 0]
            likeness = F.cosine_similarity(objective.picture_head.weight @ picture, text, dim=0)
            row.append(likeness / 0.07)
        rows.append(torch.stack(row))
    return torch.stack(rows)


def test_similarities_are_cosines_over_the_temperature() -> None:
    encoder, objective = make()
    objective.log_scale.data.fill_(-torch.tensor(0.07).log())
    with torch.no_grad():
        found = objective.similarities(objective.read(encoder, batch()))
        torch.testing.assert_close(found, plain_similarities(encoder, objective), rtol=1e-4, atol=1e-4)


def test_contrast_takes_equal_reports_as_right() -> None:
    encoder, objective = make(only("contrast", label_smoothing=0.2))
    with torch.no_grad():
        loss, metrics = objective(encoder, batch())
        rows = objective.similarities(objective.read(encoder, batch()))
    losses = []
    for values in (rows, rows.T):
        for item in range(6):
            right = [1, 2] if item in (1, 2) else [item]
            same_patient = {4, 5} if item in (4, 5) else set()
            wrong = [other for other in range(6) if other not in {*right, *same_patient}]
            each = []
            for answer in right:
                logits = values[item, [answer, *wrong]].log_softmax(0)
                each.append(-0.8 * logits[0] - 0.2 * logits.mean())
            losses.append(torch.stack(each).mean())
    expected = torch.stack(losses).mean()
    torch.testing.assert_close(loss, expected)
    assert set(metrics) == {"contrast", "contrast_accuracy", "contrast_temperature", "cut_share"}


def test_sister_trap_07_no_other_pair_has_an_equal_report_or_the_same_patient() -> None:
    encoder, objective = make()
    seen = set()
    for step in range(40):
        with torch.no_grad():
            pairs = objective.read(encoder, batch(step))
            others, has_other = objective.draw_pairs(objective.similarities(pairs), pairs)
        assert has_other.all()
        seen |= {(item, other) for item, row in enumerate(others.tolist()) for other in row}
    allowed = {
        (item, other)
        for item in range(6)
        for other in range(6)
        if item != other and {item, other} != {1, 2} and {item, other} != {4, 5}
    }
    assert seen <= allowed
    assert len(seen) > 20


def test_matching_tells_each_pair_from_its_others() -> None:
    encoder, objective = make(only("contrast", "matching"))
    with torch.no_grad():
        pairs = objective.read(encoder, batch())
        similarities = objective.similarities(pairs)
        loss, metrics = objective.matching(similarities, pairs)
        others, _ = objective.draw_pairs(similarities, pairs)
        tokens = objective.to_text(encoder.tokens(batch().clips[:, 0]))
        ids, losses, hits = plain_ids(objective), [], []
        triples = [(item, item, 1) for item in range(6)]
        triples += [(int(others[item, 0]), item, 0) for item in range(6)]
        triples += [(item, int(others[item, 1]), 0) for item in range(6)]
        for picture, text, answer in triples:
            hidden = objective.text(ids[text][None], pictures=tokens[picture][None])[0, 0]
            chances = objective.match_head(hidden).softmax(0)
            losses.append(-chances[answer].log())
            hits.append(float(chances[answer] > 0.5))
    torch.testing.assert_close(loss, torch.stack(losses).mean(), rtol=1e-4, atol=1e-5)
    assert metrics["accuracy"].item() == pytest.approx(sum(hits) / 18)


def test_matching_alone_draws_any_others() -> None:
    encoder, objective = make(only("matching"))
    loss, metrics = objective(encoder, batch())
    assert loss.isfinite()
    assert set(metrics) == {"matching", "matching_accuracy", "cut_share"}
    pairs = objective.read(encoder, batch())
    numbers = draw_numbers(6, 2, stream=MATCHING_STREAM, step=0, seed=1)
    others, _ = objective.draw_pairs(None, pairs)
    assert others[0, 0] == 1 + int(numbers[0, 0] * 5)


def test_matching_of_nothing_but_equal_reports_has_no_others() -> None:
    encoder, objective = make(only("matching"))
    loss, _ = objective(encoder, replace(batch(), reports=("No stenosis.",) * 6))
    loss.backward()
    assert loss.isfinite()


def told(objective: Refine, hidden: Tensor, ids: Tensor, where: Tensor) -> Tensor:
    losses = []
    for text in range(len(ids)):
        for place in range(ids.shape[1]):
            if where[text, place]:
                logits = objective.text.word_embed.weight @ hidden[text, place] + objective.text.word_bias
                losses.append(-logits.log_softmax(0)[ids[text, place]])
    return torch.stack(losses).mean()


def test_masked_words_are_told_from_both_sides_and_the_picture() -> None:
    encoder, objective = make(only("masked_words", mask_share=0.3))
    with torch.no_grad():
        loss, _ = objective(encoder, batch(3))
        ids = plain_ids(objective)
        numbers = draw_numbers(6, 48, stream=WORD_STREAM, step=3, seed=1).reshape(6, 3, 16)
        shown, where = hide_words(ids, numbers, share=0.3, vocabulary_size=len(objective.tokenizer))
        tokens = objective.to_text(encoder.tokens(batch(3).clips[:, 0]))
        expected = told(objective, objective.text(shown, pictures=tokens), ids, where)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)


def test_every_next_word_is_written_and_the_end_too() -> None:
    encoder, objective = make(only("generation"))
    with torch.no_grad():
        loss, _ = objective(encoder, batch())
        ids = plain_ids(objective)
        tokens = objective.to_text(encoder.tokens(batch().clips[:, 0]))
        losses = []
        for row, picture in zip(ids, tokens, strict=True):
            length = int((row != Tokenizer.PAD).sum())
            for place in range(1, length):  # from what stands before it alone, in a text of its own
                hidden = objective.text(row[None, :place], pictures=picture[None], causal=True)[0, -1]
                losses.append(-objective.text.words(hidden).log_softmax(0)[row[place]])
    torch.testing.assert_close(loss, torch.stack(losses).mean(), rtol=1e-4, atol=1e-5)


def test_the_published_generation_tells_hidden_words_from_the_left() -> None:
    encoder, objective = make(only("generation", generate="hidden_words"))
    with torch.no_grad():
        loss, _ = objective(encoder, batch(2))
        ids = plain_ids(objective)
        numbers = draw_numbers(6, 48, stream=GENERATION_STREAM, step=2, seed=1).reshape(6, 3, 16)
        shown, where = hide_words(ids, numbers, share=0.6, vocabulary_size=len(objective.tokenizer))
        tokens = objective.to_text(encoder.tokens(batch(2).clips[:, 0]))
        expected = told(objective, objective.text(shown, pictures=tokens, causal=True), ids, where)
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)


def test_the_sum_has_the_weights_of_the_settings() -> None:
    weights = dict(zip(LOSSES, (1.0, 0.5, 2.0, 0.25), strict=True))
    encoder, objective = make(RefineConfig.model_validate({"text": TEXT, "projection_dim": 8, **weights}))
    loss, metrics = objective(encoder, batch())
    expected = sum(weight * metrics[name] for name, weight in weights.items())
    torch.testing.assert_close(loss.detach(), expected)


@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_reaches_the_encoder_and_leaves_no_weight_untrained(name: str) -> None:
    encoder, objective = make(only(name))
    loss, _ = objective(encoder, batch())
    loss.backward()
    for parameter in (*encoder.parameters(), *objective.parameters()):
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()
    assert sum(float(parameter.grad.abs().sum()) for parameter in encoder.parameters()) > 0
