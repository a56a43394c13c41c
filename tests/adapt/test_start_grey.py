"""Grey values of fine-tuning: those of the start, or those that are set for a random one."""

import pytest
import torch

from echossl.adapt import finetune, load_classifier
from echossl.adapt.start import start_encoder
from echossl.encoders.files import load_encoder, save_encoder
from echossl.errors import UserError
from echossl.training.statistics import grey_statistics


@pytest.mark.parametrize("grey", [None, "standardised", "clip_min_max"])
def test_a_random_start_takes_what_is_set(toy, tmp_path, grey) -> None:
    metadata = start_encoder(toy.config(tmp_path, grey=grey), toy.store, toy.table).metadata
    assert metadata.grey == (grey or "standardised")
    measured = grey_statistics(toy.store, toy.table["row"].to_numpy())
    assert ((metadata.mean, metadata.std) == (0, 1)) == (grey == "clip_min_max")
    assert ((metadata.mean, metadata.std) == measured) == (grey != "clip_min_max")


def test_a_start_brings_its_own_and_another_setting_is_refused(toy, tmp_path) -> None:
    stretched = start_encoder(toy.config(tmp_path, grey="clip_min_max"), toy.store, toy.table)
    save_encoder(stretched, tmp_path / "encoder.safetensors")
    for grey in (None, "clip_min_max"):
        found = start_encoder(toy.config(tmp_path, start=tmp_path, grey=grey), toy.store, toy.table)
        assert found.metadata.grey == "clip_min_max"
    with pytest.raises(UserError, match="was trained with grey clip_min_max, found standardised"):
        start_encoder(toy.config(tmp_path, start=tmp_path, grey="standardised"), toy.store, toy.table)


def test_the_tuned_classifier_keeps_them(toy, tmp_path) -> None:
    start = start_encoder(toy.config(tmp_path, grey="clip_min_max"), toy.store, toy.table)
    save_encoder(start, tmp_path / "encoder.safetensors")
    finetune(toy.config(tmp_path / "run", start=tmp_path))
    encoder = load_classifier(tmp_path / "run" / "model.safetensors")[0]
    assert encoder.metadata.grey == "clip_min_max"
    clips = torch.rand(2, 1, 8, 32, 32)
    torch.testing.assert_close(encoder(clips), load_encoder(tmp_path)(0.5 * clips), atol=1e-4, rtol=1e-3)
