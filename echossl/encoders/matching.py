"""Which tensors of a file belong to which weights of an encoder, whatever the tool put before their names."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from echossl.encoders.base import Encoder
from echossl.encoders.borrowed import COLOURS, BorrowedEncoder
from echossl.encoders.motion import motion_of

# parts after the trunk, in the names of many tools: their weights are of no use here
HEADS = {"fc", "head", "heads", "classifier", "linear", "mlp", "proj", "post_conv"}
HEAD_BEGINNINGS = ("project", "predict", "classif")

# of two copies of one network in a file, the better is taken: the mean of DINO's student is its teacher,
# while MoCo and BYOL publish the network that is trained, not the one that follows it
SECOND_CHOICE = ("student", "encoder_k", "target", "momentum", "optim")


@dataclass(frozen=True)
class Match:
    """What of a file fits an encoder; names without the prefix.

    Attributes:
        prefix: what stands before the names in the file.
        weights: by the encoder's own name, in the encoder's shapes.
        matched: names that fit, the reshaped ones among them.
        reshaped: names of first convolutions whose input channels were summed or spread, or that got channels
            for motion, with weights of zero; and of what :meth:`Encoder.refit` made to fit.
        misfits: names whose shape is another, and both shapes.
        missing: names that the file does not have.
        head: names of a classifier or projection head, left out.
        unexpected: other names below the prefix that the encoder does not have.
        share: of the encoder's weights that fit, the lower of the shares by tensor and by number.
        places: of what matched, the encoder's own name by the whole name in the file.
    """

    prefix: str
    weights: dict[str, Tensor]
    matched: tuple[str, ...]
    reshaped: tuple[str, ...]
    misfits: tuple[str, ...]
    missing: tuple[str, ...]
    head: tuple[str, ...]
    unexpected: tuple[str, ...]
    share: float
    places: dict[str, str]


def match(encoder: Encoder, tensors: Mapping[str, Tensor]) -> Match:
    """Find the prefix, and the numbering of parts, with which most of a file fits an encoder."""
    settings = motion_of(encoder.metadata.architecture)
    beside = settings is not None and settings.motion == "beside"
    matches = [_match(encoder, names, tensors, beside=beside) for names in _namings(encoder)]
    return max(matches, key=lambda found: found.share)


def _namings(encoder: Encoder) -> list[dict[str, str]]:
    """File's name → own name: as in the network's package, and with numbers for the outermost parts.

    Numbers are what ``nn.Sequential(*network.children())`` leaves, with which many take off a head.
    """
    own_prefix = "network." if isinstance(encoder, BorrowedEncoder) else ""
    network = encoder.network if isinstance(encoder, BorrowedEncoder) else encoder
    names = {name.removeprefix(own_prefix): name for name in encoder.state_dict()}
    numbers = {name: str(number) for number, (name, _) in enumerate(network.named_children())}
    numbered = {}
    for name, own in names.items():
        outermost, _, rest = name.partition(".")
        numbered[f"{numbers.get(outermost, outermost)}.{rest}"] = own
    others = {encoder.other_names.get(own, name): own for name, own in names.items()}
    return [names, numbered, *([others] if others != names else [])]


def _match(
    encoder: Encoder, names: Mapping[str, str], tensors: Mapping[str, Tensor], *, beside: bool
) -> Match:
    expected = encoder.state_dict()
    prefix = _best_prefix(encoder, names, tensors, beside=beside)
    weights: dict[str, Tensor] = {}
    reshaped, misfits, missing = [], [], []
    for name, own in names.items():
        found = tensors.get(prefix + name)
        fitted = None
        if found is not None:
            fitted = fit(encoder.refit(own, found), expected[own], motion_beside=beside)
        if fitted is not None:
            weights[own] = fitted
            reshaped += [name] if found is not None and found.shape != fitted.shape else []
        elif found is not None:
            misfits.append(f"{name} {tuple(found.shape)} instead of {tuple(expected[own].shape)}")
        elif expected[own].is_floating_point():  # not the counters of batch normalisation, which are optional
            missing.append(name)
    others = [key.removeprefix(prefix) for key in tensors if key.startswith(prefix)]
    others = [name for name in others if name not in names]
    return Match(
        prefix=prefix,
        weights=weights,
        matched=tuple(name for name, own in names.items() if own in weights),
        reshaped=tuple(reshaped),
        misfits=tuple(misfits),
        missing=tuple(missing),
        head=tuple(name for name in others if _is_head(name)),
        unexpected=tuple(name for name in others if not _is_head(name)),
        share=_share(expected, weights),
        places={prefix + name: own for name, own in names.items() if own in weights},
    )


def _best_prefix(
    encoder: Encoder, names: Mapping[str, str], tensors: Mapping[str, Tensor], *, beside: bool
) -> str:
    expected = encoder.state_dict()
    votes: Counter[str] = Counter()
    for key, tensor in tensors.items():
        parts = key.split(".")
        for number in range(len(parts)):
            own = names.get(".".join(parts[number:]))
            if own is None:
                continue
            if fit(encoder.refit(own, tensor), expected[own], motion_beside=beside) is not None:
                votes["".join(f"{part}." for part in parts[:number])] += 1
    # of equals, max takes the first in the file
    return max(votes, key=lambda prefix: (votes[prefix], not _is_second_choice(prefix)), default="")


def _is_second_choice(prefix: str) -> bool:
    return any(word in prefix for word in SECOND_CHOICE)


def _is_head(name: str) -> bool:
    return any(part in HEADS or part.startswith(HEAD_BEGINNINGS) for part in name.split("."))


def fit(found: Tensor, expected: Tensor, *, motion_beside: bool = False) -> Tensor | None:
    """The tensor in the expected shape, if only the channels of a first convolution stand between them.

    Colours are summed for a network that takes grey; grey is spread over the colours. Either way the
    network gives for a grey picture what it gave before. So it does where motion is seen beside it: the
    weights of motion start at zero, from where training moves them.
    """
    if found.is_floating_point() != expected.is_floating_point():
        return None
    if found.shape == expected.shape:
        return found
    if found.ndim != expected.ndim or found.ndim not in {4, 5}:
        return None
    fitted = _with_channels(found, expected.shape[1] // 2 if motion_beside else expected.shape[1])
    if motion_beside:
        fitted = torch.cat((fitted, torch.zeros_like(fitted)), dim=1)
    return fitted if fitted.shape == expected.shape else None


def unfit(change: Tensor, shape: torch.Size) -> Tensor:
    """What to add to a tensor of a file, of this shape, for :func:`fit` to give ``change`` more than it did.

    What is summed over the colours is spread evenly over them; what is spread over them is summed.
    """
    if change.shape == shape:
        return change
    if change.shape[1] == 1 and shape[1] == COLOURS:
        return change.repeat(1, COLOURS, *[1] * (change.ndim - 2)) / COLOURS
    return change.sum(dim=1, keepdim=True)


def _with_channels(found: Tensor, channels: int) -> Tensor:
    """With the colours summed or spread, or as it is where no colours are in question."""
    match found.shape[1], channels:
        case 3, 1:
            return found.sum(dim=1, keepdim=True)
        case 1, 3:
            return found.repeat(1, COLOURS, *[1] * (found.ndim - 2)) / COLOURS
    return found


def _share(expected: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> float:
    """Without the counters of batch normalisation, which old files do not have."""
    counted = {name: value.numel() for name, value in expected.items() if value.is_floating_point()}
    found = {name: number for name, number in counted.items() if name in weights}
    return min(len(found) / len(counted), sum(found.values()) / sum(counted.values()))
