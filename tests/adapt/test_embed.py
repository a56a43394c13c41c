import numpy as np
import pytest
import torch

from echossl.adapt.embed import embed, mean_logits
from echossl.augment import Augmentation, to_float
from echossl.config.training import AugmentConfig, HardwareConfig
from echossl.data.clips import read_clip, video_requests
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.errors import UserError
from echossl.training.encoding import encode, require_fit
from echossl.training.hardware import Hardware

HARDWARE = Hardware.resolve(HardwareConfig(device="cpu", precision="fp32"))


def _encoder(toy, **changes):
    config = toy.config(toy.store.path)
    metadata = EncoderMetadata(architecture=config.encoder, clip=config.clip, size=toy.store.size)
    torch.manual_seed(0)
    return build_encoder(metadata.model_copy(update=changes))


def test_vectors_equal_a_loop_over_single_clips(toy) -> None:
    encoder = _encoder(toy).eval()
    rows = [5, 0, 9]
    found = embed(encoder, toy.store, rows, clips_per_video=3, hardware=HARDWARE)
    assert [own.shape for own in found] == [(3, encoder.dim)] * 3
    assert found[0].dtype == np.float32
    for place, row in zip(found, rows, strict=True):
        requests = video_requests(toy.store, row, encoder.metadata.clip, count=3)
        for own, request in zip(place, requests, strict=True):
            frames = read_clip(toy.store, request, encoder.metadata.clip)
            clip = torch.from_numpy(frames / np.float32(255))[None, None]
            assert np.allclose(own, encoder(clip)[0].detach().numpy(), atol=1e-5)


def test_result_does_not_depend_on_the_batches(toy, monkeypatch) -> None:
    encoder = _encoder(toy)
    together = embed(encoder, toy.store, range(12), clips_per_video=2, hardware=HARDWARE)
    monkeypatch.setitem(encode.__globals__["PIXELS_PER_BATCH"], "cpu", 1)
    one_by_one = embed(encoder, toy.store, range(12), clips_per_video=2, hardware=HARDWARE)
    assert np.allclose(together, one_by_one, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_trap_24_encoder_is_left_as_it_was(toy, training: bool) -> None:
    encoder = _encoder(toy).train(training)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    embed(encoder, toy.store, range(4), clips_per_video=2, hardware=HARDWARE)
    assert encoder.training is training
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())


def test_augmented_vectors_are_those_of_augmented_clips(toy) -> None:
    encoder = _encoder(toy).eval()
    requests = video_requests(toy.store, 3, encoder.metadata.clip, count=4)
    augmentation = Augmentation(AugmentConfig(), seed=2)
    found = encode(encoder, toy.store, requests, hardware=HARDWARE, augmentation=augmentation)
    frames = np.stack([read_clip(toy.store, request, encoder.metadata.clip) for request in requests])
    clips = torch.from_numpy(frames)[:, None]
    expected = encoder(augmentation(clips, step=0)).detach().numpy()
    assert np.allclose(found, expected, atol=1e-5)
    assert not np.allclose(found, encoder(to_float(clips)).detach().numpy(), atol=1e-3)


def test_no_video_is_no_error(toy) -> None:
    encoder = _encoder(toy)
    assert embed(encoder, toy.store, [], clips_per_video=2, hardware=HARDWARE) == []
    assert mean_logits(torch.nn.Linear(3, 1), []).shape == (0, 1)


def test_logits_are_averaged_over_the_clips_of_each_video() -> None:
    head = torch.nn.Linear(4, 1)
    generator = np.random.default_rng(0)
    videos = [generator.normal(size=(count, 4)).astype(np.float32) for count in (2, 1, 5)]
    expected = [head(torch.from_numpy(own)).mean().item() for own in videos]
    assert np.allclose(mean_logits(head, videos)[:, 0], expected, atol=1e-6)


def test_store_of_another_size_is_refused(toy) -> None:
    with pytest.raises(UserError, match=r"frames of 32 pixels, the encoder was trained on 64.*size=64"):
        require_fit(_encoder(toy, size=64), toy.store)


def test_colour_encoder_is_refused(toy) -> None:
    with pytest.raises(UserError, match="expects 3 channels"):
        require_fit(_encoder(toy, channels=3), toy.store)
