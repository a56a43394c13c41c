"""Refinement: what its settings do, what they refuse, and what it says."""

from dataclasses import replace

import pytest
import torch
from test_refine import LOSSES, REPORTS, TEXT, batch, make, only

from echossl.config.base import load_config
from echossl.config.encoder import ViTConfig
from echossl.config.refine import RefineConfig
from echossl.config.video import ClipConfig
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.errors import UserError
from echossl.objectives.refine import Refine


def test_what_is_left_out_has_no_weights() -> None:
    names = {
        name: {part.split(".")[0] for part, _ in make(only(name))[1].named_parameters()} for name in LOSSES
    }
    assert names["contrast"] == {"text", "picture_head", "text_head", "log_scale"}
    assert names["matching"] == {"text", "to_text", "match_head"}
    assert names["masked_words"] == names["generation"] == {"text", "to_text"}
    contrast = dict(make(only("contrast"))[1].named_parameters())
    assert not any("pictures" in name or "word_bias" in name for name in contrast)


def test_the_temperature_is_a_weight_that_is_learned_and_kept_in_bounds() -> None:
    encoder, objective = make(only("contrast"))
    assert "log_scale" in objective.state_dict()
    assert Refine(only("contrast"), 8, REPORTS).log_scale.exp().item() == pytest.approx(1 / 0.07)
    objective(encoder, batch())[0].backward()
    assert objective.log_scale.grad is not None
    assert objective.log_scale.grad != 0
    objective.log_scale.data.fill_(9.0)
    objective.after_update(encoder)
    assert objective.log_scale.exp().item() == pytest.approx(100)


def test_draws_are_those_of_seed_and_step() -> None:
    encoder, objective = make()
    with torch.no_grad():
        one = objective(encoder, batch())[0]
        torch.rand(3)  # the global generator plays no part
        again = objective(encoder, batch())[0]
        other_step = objective(encoder, replace(batch(), step=1))[0]
        objective.seed = 2
        other_seed = objective(encoder, batch())[0]
    assert one == again
    assert len({one.item(), other_step.item(), other_seed.item()}) == 3


def test_half_precision_gives_nearly_the_same() -> None:
    encoder, objective = make()
    whole, metrics = objective(encoder, batch())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half, of_half = objective(encoder, batch())
    half.backward()
    assert half.item() == pytest.approx(whole.item(), rel=0.05)
    assert metrics.keys() == of_half.keys()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in objective.parameters())


def test_the_share_of_reports_that_are_cut_is_said(caplog: pytest.LogCaptureFixture) -> None:
    short = only("contrast", text=TEXT.model_copy(update={"length": 8}))
    with caplog.at_level("WARNING"):
        encoder, objective = make(short)
    assert "of 24 reports" in caplog.text
    assert "are cut; set text.length higher" in caplog.text
    cut = objective.tokenizer.cut(REPORTS, length=8)
    _, metrics = objective(encoder, batch())
    assert 0 < metrics["cut_share"] < 1
    assert metrics["cut_share"].item() == pytest.approx(cut.mean())


@pytest.mark.parametrize("pooling", ["mean", "class_token"])
def test_one_pass_gives_the_vector_and_the_tokens(pooling: str) -> None:
    settings = ViTConfig(width=16, depth=1, heads=2, patch=8, patch_frames=2, registers=2, pooling=pooling)
    encoder = build_encoder(
        EncoderMetadata(architecture=settings, clip=ClipConfig(num_frames=4), size=16)
    ).eval()
    clips = torch.rand(2, 1, 4, 16, 16)
    with torch.no_grad():
        vectors, tokens = encoder.vectors_and_tokens(clips)
        torch.testing.assert_close(vectors, encoder(clips))
        torch.testing.assert_close(tokens, encoder.tokens(clips))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["contrast=0", "matching=0", "masked_words=0", "generation=0"], "are all 0"),
        (["contrast=0", "temperature=0.1"], "temperature is about contrast, which is 0"),
        (["masked_words=0", "mask_share=0.3"], "mask_share is about masked_words, which is 0"),
        (["generation=0", "generate=hidden_words"], "generate is about generation, which is 0"),
        (["generation_mask_share=0.5"], "generation_mask_share is about hidden_words"),
        (["temprature=0.1"], "did you mean temperature"),
    ],
)
def test_sister_trap_09_settings_without_effect_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_config(RefineConfig, None, words)
