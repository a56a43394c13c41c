"""Encoders for other programs: ONNX, checked against PyTorch before it gets its name, or plain weights."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from echossl import __version__
from echossl.encoders import Encoder
from echossl.encoders.borrowed import COLOURS, BorrowedEncoder
from echossl.encoders.card import write_card
from echossl.encoders.convolution import Conv3d
from echossl.encoders.files import METADATA_KEY, PLAIN_METADATA_KEY, load_encoder
from echossl.encoders.r3d import R3D18
from echossl.errors import EchosslError, UserError
from echossl.files import atomic_path

SUFFIXES = (".onnx", ".safetensors")
OPSET = 18
INPUT_NAME, OUTPUT_NAME = "clips", "features"
# largest allowed difference from PyTorch; where all features are smaller than 1, this share of the largest
TOLERANCE = 1e-4
# a graph made for one batch size alone would fail on one of them
CHECKED_BATCHES = (1, 3)
PACKAGES = ("onnx", "onnxruntime", "onnxscript")


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        path: the file.
        dim: length of a clip's vector.
        clip: channels, frames, height, width.
        deviation: largest difference from PyTorch; None for plain weights, which are the same numbers.
    """

    path: Path
    dim: int
    clip: tuple[int, int, int, int]
    deviation: float | None

    def __str__(self) -> str:
        """One line for a person."""
        if self.deviation is None:
            return f"{self.path}: plain weights"
        shape = ", ".join(str(number) for number in self.clip)
        return (
            f"{self.path}: ONNX opset {OPSET}, {INPUT_NAME} (batch, {shape}) in 0..1 → {OUTPUT_NAME} "
            f"(batch, {self.dim}); differs from PyTorch by {self.deviation:.1e} at most"
        )


def export_encoder(source: str | Path, out: Path) -> Export:
    """Write an encoder for other programs, by the suffix of the file, and its model card.

    To write it back into the layout of the file that it started from, see
    :func:`echossl.encoders.write_back.write_back`.

    ``.onnx``: from clips, float32 (batch, channels, frames, height, width) in 0..1, to features, float32
    (batch, dim). Any batch, all other sizes as the encoder was trained; normalisation is inside. Its
    ``metadata_props`` hold the encoder's metadata. ``.safetensors``: see :func:`plain_weights`.

    Args:
        source: encoder file or run folder.
        out: the file; whole or absent.

    Raises:
        UserError: if the suffix is another, a package is missing, or there is no such encoder.
        EchosslError: if the network cannot be exported, or the file would not compute the same.
    """
    if out.suffix not in SUFFIXES:
        raise UserError(f"{out}: found suffix {out.suffix!r}, expected {' or '.join(SUFFIXES)}")
    if out.suffix == ".onnx":
        _require_packages(out)
    encoder = load_encoder(source)
    clip = clip_shape(encoder)
    if out.suffix == ".onnx":
        deviation = write_onnx(encoder, out)
        agrees = f"Checked beside PyTorch on random clips: features differ by {deviation:.1e} at most."
        write_card(out, encoder.metadata, dim=encoder.dim, figures=(agrees,))
        return Export(out, encoder.dim, clip, deviation)
    metadata = {"format": "pt", PLAIN_METADATA_KEY: encoder.metadata.model_dump_json()}
    with atomic_path(out) as temporary:
        save_file(plain_weights(encoder), temporary, metadata=metadata)
    load = f'network.load_state_dict(safetensors.torch.load_file("{out.name}"), strict=False)'
    write_card(out, encoder.metadata, dim=encoder.dim, load=load)
    return Export(out, encoder.dim, clip, None)


def clip_shape(encoder: Encoder) -> tuple[int, int, int, int]:
    """Channels, frames, height and width of the clips that an encoder was trained on."""
    metadata = encoder.metadata
    return metadata.channels, metadata.clip.num_frames, metadata.size, metadata.size


def plain_weights(encoder: Encoder) -> dict[str, Tensor]:
    """Weights under the names of torchvision or pytorchvideo, where the network is one of theirs.

    They load there with ``strict=False``, as the classifier is missing. A first convolution for grey gets its
    weights spread over three colours, so that a grey picture in all of them gives what it gave here.
    """
    is_theirs = isinstance(encoder, BorrowedEncoder | R3D18)
    network = encoder.network if isinstance(encoder, BorrowedEncoder) else encoder
    weights = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    for name, layer in network.named_modules():
        if is_theirs and isinstance(layer, nn.Conv3d) and layer.in_channels == 1:
            grey = weights[f"{name}.weight"]
            weights[f"{name}.weight"] = grey.repeat(1, COLOURS, 1, 1, 1) / COLOURS
    return weights


def write_onnx(encoder: Encoder, out: Path) -> float:
    """Write an ONNX file that has been run beside PyTorch.

    Args:
        encoder: on the CPU, in evaluation mode.
        out: the file.

    Returns:
        The largest difference of a feature from PyTorch's, over random clips in batches of 1 and 3; at most
        1e-4, and that share of the largest feature.

    Raises:
        EchosslError: if the network cannot be exported, or the difference is too large; nothing is written.
    """
    program = _traced(encoder)
    program.model.metadata_props.update(_properties(encoder))
    with atomic_path(out) as temporary:
        program.save(str(temporary), external_data=False)
        return _compare(encoder, temporary, out)


def _traced(encoder: Encoder) -> Any:
    network = deepcopy(encoder)
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d) and type(layer).forward is Conv3d.forward:
            # its detours around faults of one processor's gradients have no place in a graph for inference
            layer.__class__ = nn.Conv3d
    try:
        with _quiet():
            program: Any = torch.onnx.export(
                network,
                (torch.rand(2, *clip_shape(encoder)),),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT_NAME],
                output_names=[OUTPUT_NAME],
                dynamic_shapes={"clips": {0: torch.export.Dim("batch")}},
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise EchosslError(
            f"encoder {encoder.metadata.architecture.name}: PyTorch {torch.__version__} cannot export it to "
            f"ONNX ({_last_line(error)}); take a .safetensors file"
        ) from error
    # where a network counts the clips itself, the exporter takes their number as given, and says nothing
    if isinstance(program.model.graph.inputs[0].shape[0], int):
        raise EchosslError(
            f"encoder {encoder.metadata.architecture.name}: PyTorch {torch.__version__} exports it to ONNX "
            "for one size of batch alone; take a .safetensors file"
        )
    return program


@contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch warns of changes in its own parts, and prints whole graphs when it fails: one line will do."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _properties(encoder: Encoder) -> dict[str, str]:
    return {
        METADATA_KEY: encoder.metadata.model_dump_json(),
        "echossl_version": __version__,
        "torch_version": str(torch.__version__),
        "input": json.dumps({INPUT_NAME: ["batch", *clip_shape(encoder)], "range": [0, 1]}),
        "output": json.dumps({OUTPUT_NAME: ["batch", encoder.dim]}),
    }


def _compare(encoder: Encoder, file: Path, out: Path) -> float:
    runtime = import_module("onnxruntime")
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    most = 0.0
    for clips in _random_clips(encoder):
        with torch.inference_mode():
            expected = encoder(torch.from_numpy(clips)).numpy()
        found = session.run([OUTPUT_NAME], {INPUT_NAME: clips})[0]
        deviation = float(np.abs(found - expected).max())
        if not deviation <= TOLERANCE * min(1.0, float(np.abs(expected).max())):  # not a number is no match
            raise EchosslError(
                f"{out}: not written: for {len(clips)} random clip(s) ONNX differs from PyTorch by "
                f"{deviation:.1e} of {np.abs(expected).max():.1e}, expected {TOLERANCE:.0e} at most; take a "
                ".safetensors file"
            )
        most = max(most, deviation)
    return most


def _random_clips(encoder: Encoder) -> Iterator[npt.NDArray[np.float32]]:
    generator = np.random.default_rng(0)
    for batch in CHECKED_BATCHES:
        yield generator.random((batch, *clip_shape(encoder)), dtype=np.float32)


def _require_packages(out: Path) -> None:
    for name in PACKAGES:
        try:
            import_module(name)
        except ImportError as error:
            raise UserError(f"{out}: ONNX needs the package {name}; pip install 'echossl[onnx]'") from error


def _last_line(error: BaseException) -> str:
    """What went wrong at the bottom of the chain; the exporter's own message is a page of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0]
