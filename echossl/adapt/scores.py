"""From what a head says of videos to what it says of studies."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.errors import EchosslError

Floats = npt.NDArray[np.floating]
KEYS = ["patient_id", "study_id"]


def study_outputs(videos: pd.DataFrame, outputs: Floats) -> tuple[pd.DataFrame, npt.NDArray[np.float64]]:
    """Mean of the outputs over the videos of each study.

    Args:
        videos: one row per video: ``patient_id``, ``study_id``.
        outputs: (videos, outputs), in the order of the rows.

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
    means = table.groupby(KEYS, sort=False, as_index=False).mean()
    return means[KEYS], means.drop(columns=KEYS).to_numpy(np.float64)
