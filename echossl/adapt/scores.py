"""From what a head says of videos to what it says of studies."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.errors import EchosslError

Pooling = Literal["mean", "max", "attention"]
Floats = npt.NDArray[np.floating]
KEYS = ["patient_id", "study_id"]


def study_outputs(
    videos: pd.DataFrame, outputs: Floats, *, pooling: Pooling = "mean", energies: Floats | None = None
) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
    """Mean, largest or weighted mean of the outputs over the videos of each study, each output for itself.

    Args:
        videos: one row per video: ``patient_id``, ``study_id``.
        outputs: (videos, outputs), in the order of the rows.
        pooling: how.
        energies: (videos,) whose softmax over a study are the weights of its videos, for ``attention``.

    Returns:
        ``patient_id, study_id``, one row per study in the order of first appearance, and (studies, outputs).

    Raises:
        EchosslError: if an output is not finite.
    """
    broken = int(np.count_nonzero(~np.isfinite(outputs).all(axis=1)))
    if broken:
        raise EchosslError(
            f"scores: {broken} of {len(videos)} videos got no finite logit; the weights of the start are "
            "broken or the training diverged: lower recipe.learning_rate or set hardware.precision to fp32"
        )
    keys = videos[KEYS].reset_index(drop=True)
    # in double precision, so that the mean does not depend on the order of the videos
    table = pd.concat([keys, pd.DataFrame(np.asarray(outputs, dtype=np.float64))], axis=1)
    if pooling == "max":
        pooled = table.groupby(KEYS, sort=False, as_index=False).max()
    elif pooling == "attention":
        if energies is None:
            raise ValueError("pooling attention needs the energies of the videos")
        pooled = _weighted(table, np.asarray(energies, dtype=np.float64))
    else:
        pooled = table.groupby(KEYS, sort=False, as_index=False).mean()
    return pooled[KEYS], pooled.drop(columns=KEYS).to_numpy(np.float64)


def _weighted(table: pd.DataFrame, energies: Floats) -> pd.DataFrame:
    studies = [table[key] for key in KEYS]
    values = pd.Series(energies)
    shares = (values - values.groupby(studies).transform("max")).map(np.exp)
    weights = shares / shares.groupby(studies).transform("sum")
    weighted = table.drop(columns=KEYS).mul(weights, axis=0)
    return pd.concat([table[KEYS], weighted], axis=1).groupby(KEYS, sort=False, as_index=False).sum()
