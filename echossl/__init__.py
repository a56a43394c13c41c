"""Self-supervised learning from echocardiogram videos, with few labels and honest intervals."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from echossl.encoders import Encoder

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(path: "str | Path") -> "Encoder":
    """Load a pre-trained encoder from its ``encoder.safetensors`` file; nothing else is needed.

    Args:
        path: the file, or a run folder that holds one.

    Returns:
        The encoder in evaluation mode; ``encoder.metadata`` says what input it expects.

    Raises:
        echossl.errors.UserError: if the file is missing or is not an encoder file.
    """
    from echossl.encoders.files import load_encoder  # torch is imported only here

    return load_encoder(path)
