"""From logits of videos to logits of studies, and how well those fit the labels."""

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.errors import EchosslError

Floats = npt.NDArray[np.floating]


def study_scores(videos: pd.DataFrame, logits: Floats) -> pd.DataFrame:
    """Mean logit over the videos of each study.

    Args:
        videos: one row per video: ``patient_id``, ``study_id``, and ``label`` where it is known.
        logits: (videos,), in the order of the rows.

    Returns:
        One row per study in the order of first appearance: ``patient_id, study_id, score`` (any real number,
        higher is more likely positive), and ``label`` if it was given (positive if any video's is).

    Raises:
        EchosslError: if a logit is not finite.
    """
    broken = int(np.count_nonzero(~np.isfinite(logits)))
    if broken:
        raise EchosslError(
            f"scores: {broken} of {len(videos)} videos got no finite logit; the weights of the start are "
            "broken or the training diverged: lower recipe.learning_rate or set hardware.precision to fp32"
        )
    # in double precision, so that the mean does not depend on the order of the videos
    table = videos[["patient_id", "study_id"]].assign(score=np.asarray(logits, dtype=np.float64))
    columns = {"score": "mean"}
    if "label" in videos:
        table["label"] = videos["label"]
        columns["label"] = "max"
    return table.groupby(["patient_id", "study_id"], sort=False, as_index=False).agg(columns)


def balanced_log_loss(labels: Floats, logits: Floats) -> float:
    """Mean negative log-likelihood in nats, each class weighing one half.

    Balanced because the recipes train on as many positives as negatives: their logits are calibrated to that,
    and an unbalanced loss would prefer fewer steps for no better reason than the prevalence.

    Args:
        labels: 0 or 1, both present, (n,).
        logits: (n,).
    """
    known = np.asarray(labels, dtype=np.float64)
    # log(1 + exp(-m)) of the signed margin, without overflow
    losses = np.logaddexp(0.0, -np.where(known == 1, 1.0, -1.0) * np.asarray(logits, dtype=np.float64))
    return float(losses[known == 1].mean() + losses[known == 0].mean()) / 2
