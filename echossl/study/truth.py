"""The true causes of synthetic videos as a table; for scoring only."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from echossl.errors import UserError
from echossl.phantom.truth import read_truth
from echossl.progress import track


def read_latents(folder: Path, names: Sequence[str], paths: Sequence[str]) -> pd.DataFrame:
    """The causes of videos.

    Args:
        folder: the phantom's folder.
        names: such as ``severity``.
        paths: the videos.

    Returns:
        One row per video with the path as index, one column per name.

    Raises:
        UserError: if a video is not the phantom's, or there is no cause of a name.
    """
    rows = []
    for path in track(paths, "reading the truth", total=len(paths), unit="videos"):
        latents = read_truth(folder, Path(path)).latents
        unknown = [name for name in names if name not in latents]
        if unknown:
            raise UserError(
                f"latents: {unknown[0]!r} is no cause of a phantom; there are {', '.join(latents)}"
            )
        rows.append([latents[name] for name in names])
    return pd.DataFrame(rows, index=pd.Index(paths), columns=list(names))
