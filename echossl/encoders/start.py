"""The weights that training starts from: random, published, or of any file that fits."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from echossl.config.video import GreyValues
from echossl.encoders.base import Encoder
from echossl.encoders.checkpoints import Checkpoint, flat_tensors, is_own, read_checkpoint
from echossl.encoders.matching import Match, match
from echossl.encoders.motion import motion_of, require_same_motion
from echossl.encoders.picture_networks import PICTURE_NETWORKS, ResNet50, SwinV2
from echossl.encoders.pytorchvideo_networks import HUB, hub_module
from echossl.errors import UserError, first_names

RANDOM = "random"
# where published weights are fetched from, as in torchvision:NAME
TORCHVISION, PYTORCHVIDEO = "torchvision", "pytorchvideo"
LEAST_SHARE = 0.9

# mean and standard deviation that all networks of pytorchvideo's model zoo are trained with
PYTORCHVIDEO_STATISTICS = (0.45, 0.225)
KINETICS_CLASSES = 400
IMAGENET_CLASSES = 1000
# of the colours of ImageNet, over the three; what masked autoencoders, RETFound and DINOv2 were trained with
IMAGENET_STATISTICS = (0.449, 0.226)


@dataclass(frozen=True)
class StartReport:
    """What became of a start.

    Attributes:
        source: what was asked for.
        match: what fitted and what did not; None for random weights.
        mean: of the clips' grey values, as the encoder now takes it off.
        std: their standard deviation, by which it now divides.
        statistics_from: whose these two are.
        motion: what became of the weights of motion, where the encoder sees it and the start did not.
    """

    source: str
    match: Match | None
    mean: float
    std: float
    statistics_from: str
    motion: str | None = None

    def as_text(self) -> str:
        """One line of figures, then one for each kind of name that did not simply match."""
        grey = f"mean {self.mean:.4f}, std {self.std:.4f} ({self.statistics_from})"
        if self.match is None:
            return f"start: random weights; {grey}"
        found = self.match
        kinds = {
            "reshaped": found.reshaped,
            "wrong shape": found.misfits,
            "missing": found.missing,
            "unexpected": found.unexpected,
            "head left out": found.head,
        }
        counts = ", ".join(f"{len(names)} {kind}" for kind, names in kinds.items())
        below = f" below {found.prefix!r}" if found.prefix else ""
        lines = [
            f"start {self.source}: {len(found.matched)} matched{below} ({found.share:.1%}), {counts}; {grey}"
        ]
        lines += [f"  {kind}: {first_names(names)}" for kind, names in kinds.items() if names]
        lines += [f"  motion: {self.motion}"] if self.motion else []
        return "\n".join(lines)


def load_start(encoder: Encoder, start: str | Path) -> StartReport:
    """Give an encoder its first weights, in place.

    The mean and standard deviation of the grey values travel with the weights where they are known: those of
    an echossl file, the published ones of a Kinetics-400 classifier (for grey, the mean of its three
    colours), and those of ImageNet for classifiers of still pictures with its 1000 classes and for files
    with a token of what is hidden (MAE, RETFound, DINOv2).
    ``metadata`` is replaced to say so and to name the start.

    Args:
        encoder: as :func:`echossl.encoders.build_encoder` made it.
        start: ``random``; ``torchvision:KINETICS400_V1`` or another name of torchvision's weights of this
            network; ``pytorchvideo:slow_r50`` or another network of its model zoo; a file with weights of any
            common layout; a run folder.

    Returns:
        What fitted.

    Raises:
        UserError: if the start is not there or cannot be read, sees another motion or other grey values, or
            has less than 90 % of the weights.
    """
    source = str(start)
    own = (encoder.metadata.mean, encoder.metadata.std)
    if source == RANDOM:
        return StartReport(source, None, *own, "of the training clips")
    checkpoint = _read(encoder, source)
    theirs = checkpoint.metadata
    if theirs is not None:
        require_same_motion(source, theirs.architecture, encoder.metadata.architecture)
        require_same_grey(source, theirs.grey, encoder.metadata.grey)
    found = match(encoder, checkpoint.tensors)
    require_share(encoder, f"start {source}", found)
    encoder.load_state_dict(found.weights, strict=False)
    statistics, whose = checkpoint.statistics, "of the start"
    if statistics is None:
        statistics, whose = _statistics_told(encoder, found, checkpoint.tensors)
    if statistics is None:
        statistics, whose = own, "of the training clips: the start does not say"
    _record(encoder, source, found, statistics)
    if theirs is not None and theirs.streams is not None:
        encoder.describe(streams=theirs.streams)
    had_motion = theirs is not None and motion_of(theirs.architecture) is not None
    said = None if had_motion else _motion_weights(encoder)
    return StartReport(source, found, *statistics, whose, said)


def require_same_grey(source: str, theirs: GreyValues, ours: GreyValues) -> None:
    """Refuse weights that were trained on other grey values than the settings ask for.

    Raises:
        UserError: saying what to set.
    """
    if theirs != ours:
        raise UserError(f"start {source}: was trained with grey {theirs}, found {ours}; set grey to {theirs}")


def _motion_weights(encoder: Encoder) -> str | None:
    settings = motion_of(encoder.metadata.architecture)
    if settings is None:
        return None
    return "starts at weights of zero" if settings.motion == "beside" else "takes the weights of grey values"


def is_own_start(start: str | Path) -> bool:
    """Whether a start is a file or a run folder of echossl, which brings its network and clips along.

    Raises:
        UserError: if there is no such file.
    """
    is_named = str(start).partition(":")[0] in {TORCHVISION, PYTORCHVIDEO}
    return not is_named and is_own(Path(start))


def published_statistics(name: str) -> tuple[float, float] | None:
    """Mean and std of a network's Kinetics weights, over the three colours; None if there are none."""
    if name in HUB:
        return PYTORCHVIDEO_STATISTICS
    models = import_module("torchvision.models")
    if name not in models.list_models(module=models.video):
        return None
    return _grey_statistics(models.get_model_weights(name).DEFAULT)


def _grey_statistics(weights: Any) -> tuple[float, float]:
    transforms = weights.transforms()
    return sum(transforms.mean) / len(transforms.mean), sum(transforms.std) / len(transforms.std)


def _read(encoder: Encoder, source: str) -> Checkpoint:
    kind, _, name = source.partition(":")
    if kind == TORCHVISION:
        return _fetch_torchvision(encoder.metadata.architecture.name, name)
    if kind == PYTORCHVIDEO:
        return _fetch_pytorchvideo(name)
    return read_checkpoint(Path(source))


def _fetch_torchvision(network: str, name: str) -> Checkpoint:
    models = import_module("torchvision.models")
    known: Mapping[str, Any] = {}
    if network in models.list_models(module=models.video) + list(PICTURE_NETWORKS):
        known = models.get_model_weights(network).__members__
    if name not in known:
        there = ", ".join(f"torchvision:{other}" for other in known) or "none"
        raise UserError(
            f"start: torchvision has no weights {name!r} for the encoder {network}; there are: {there}"
        )
    weights = known[name]
    return Checkpoint(_fetch(f"torchvision:{name}", weights.url), _grey_statistics(weights))


def _fetch_pytorchvideo(name: str) -> Checkpoint:
    if name not in HUB:
        raise UserError(
            f"start: pytorchvideo has no weights {name!r} that fit here; there are: {', '.join(HUB)}"
        )
    addresses: Mapping[str, str] = vars(hub_module(name))["checkpoint_paths"]
    return Checkpoint(_fetch(f"pytorchvideo:{name}", addresses[name]), PYTORCHVIDEO_STATISTICS)


def _fetch(source: str, address: str) -> dict[str, Tensor]:
    try:
        content = torch.hub.load_state_dict_from_url(
            address, map_location="cpu", progress=False, weights_only=True
        )
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        raise UserError(
            f"start {source}: cannot be fetched ({error}); fetch {address} on a machine with network access "
            "and give the file as start"
        ) from error
    return dict(flat_tensors(content))


def _statistics_told(
    encoder: Encoder, found: Match, tensors: Mapping[str, Tensor]
) -> tuple[tuple[float, float] | None, str]:
    """Statistics that the head that was left out, or a token of what is hidden, lets one tell; whose."""
    shapes = [tensors[found.prefix + name].shape for name in found.head if name.endswith("weight")]
    classes = {shape[0] for shape in shapes if shape}
    name = encoder.metadata.architecture.name
    if KINETICS_CLASSES in classes:
        return published_statistics(name), "of Kinetics-400"
    is_classifier = IMAGENET_CLASSES in classes and isinstance(encoder, ResNet50 | SwinV2)
    if is_classifier or f"{found.prefix}mask_token" in tensors:
        return IMAGENET_STATISTICS, "of ImageNet"
    return None, ""


def require_share(encoder: Encoder, what: str, found: Match) -> None:
    """Refuse a file of which too little fits.

    Raises:
        UserError: with the share, and names of what does not fit.
    """
    if found.share >= LEAST_SHARE:
        return
    examples = {
        "missing": found.missing,
        "wrong shape": found.misfits,
        "not of this network": found.unexpected,
    }
    said = "; ".join(f"{kind}: {', '.join(names[:3])}" for kind, names in examples.items() if names)
    raise UserError(
        f"{what}: fits {found.share:.0%} of the weights of the encoder "
        f"{encoder.metadata.architecture.name}, expected {LEAST_SHARE:.0%} or more ({said}); set encoder to "
        "the network that the weights are of"
    )


def _record(encoder: Encoder, source: str, found: Match, statistics: tuple[float, float]) -> None:
    mean, std = statistics
    provenance = encoder.metadata.provenance | {
        "start": Path(source).name,  # no paths of this machine
        "start_matched": f"{found.share:.1%}",
    }
    encoder.describe(mean=mean, std=std, provenance=provenance)
