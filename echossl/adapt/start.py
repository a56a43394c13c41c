"""The encoder that adaptation begins from, and clips other than those it was trained with."""

import logging

import pandas as pd
import torch

from echossl.config.adapt import FinetuneConfig
from echossl.config.video import ClipConfig
from echossl.data.store import ClipStore
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.encoders.files import load_encoder
from echossl.encoders.start import is_own_start, load_start, require_same_grey
from echossl.training.encoding import require_fit
from echossl.training.statistics import grey_statistics

logger = logging.getLogger(__name__)


def start_encoder(config: FinetuneConfig, store: ClipStore, training: pd.DataFrame) -> Encoder:
    """The encoder that adaptation begins from.

    Args:
        config: ``start`` and ``clip_from``, or ``encoder``, ``clip`` and ``seed`` of a random one.
        store: the clip store, which must fit.
        training: videos whose grey values a random start is normalised with; their labels are not needed.

    Raises:
        UserError: if the start, the store and the clips do not fit together.
    """
    if config.start is not None and is_own_start(config.start):
        encoder = load_encoder(config.start)
        if config.grey is not None:
            require_same_grey(str(config.start), encoder.metadata.grey, config.grey)
        require_fit(encoder, store)
        return with_clip(encoder, config.clip) if config.clip_from == "settings" else encoder
    grey = config.grey or "standardised"
    mean, std = grey_statistics(store, training["row"].to_numpy(), grey)
    metadata = EncoderMetadata(
        architecture=config.encoder,
        clip=config.clip,
        size=store.size,
        grey=grey,
        mean=mean,
        std=std,
        provenance={"start": f"random weights, seed {config.seed}"},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        encoder = build_encoder(metadata)
    if config.start is not None:
        logger.warning("%s", load_start(encoder, config.start).as_text())
    return encoder


def with_clip(encoder: Encoder, clip: ClipConfig) -> Encoder:
    """The same weights for other clips.

    Args:
        encoder: on the CPU; it stays as it is.
        clip: any length that the network takes.

    Returns:
        A new encoder in evaluation mode.

    Raises:
        UserError: if the network does not take such clips.
    """
    metadata = encoder.metadata.model_copy(update={"clip": clip})
    with torch.random.fork_rng(devices=[]):  # the random weights made here are thrown away at once
        other = build_encoder(metadata)
    # no network has weights that belong to a length of clip
    other.load_state_dict(encoder.state_dict())
    return other.eval()
