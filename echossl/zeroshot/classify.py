"""``echossl zeroshot``: each class is said in words, and a study belongs to those that it is most alike."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import softmax

from echossl.config.zeroshot import NEGATIVE, POSITIVE, Sentences, ZeroshotConfig
from echossl.errors import UserError
from echossl.evaluation.cuts import SCORE_SUFFIX
from echossl.files import atomic_path
from echossl.runs import RunFolder
from echossl.training.fusion import stored_videos
from echossl.zeroshot.studies import KEYS, Aligned, Studies

FILE_NAME = "predictions.csv"
NO_SPLIT = "all"


def zeroshot(config: ZeroshotConfig) -> Path:
    """Score the studies of a split by the sentences of each class. A finished run returns at once.

    The score of a class is the softmax, at the temperature that was learned, of the cosines between the
    study and the mean vector of the sentences of each class (Radford et al., arXiv 2103.00020, section 3.1).

    Returns:
        ``predictions.csv`` in the run folder: ``patient_id, study_id, split``, then of every column of the
        prompts its label and its scores, as ``echossl evaluate`` takes it.

    Raises:
        UserError: if the run, the manifest, the store and the prompts do not fit together.
    """
    run = RunFolder.open(config.out, config, command="zeroshot")
    path = config.out / FILE_NAME
    if run.result is not None:
        return path
    binary = [column for column, classes in config.prompts.items() if POSITIVE in classes]
    store, videos = stored_videos(
        config.data.manifest, config.data.store, split=config.split, binary_columns=binary
    )
    _require_columns(config, videos)
    aligned = Aligned(config)
    studies = aligned.studies(videos, store)
    split = config.split if "split" in videos else NO_SPLIT
    columns: dict[str, Sequence[object] | npt.NDArray[np.float64]] = {"split": [split] * len(studies.table)}
    for column, classes in config.prompts.items():
        columns[column] = _labels(config.data.manifest, videos, column, studies)
        columns |= _scores(column, classes, class_scores(aligned, studies, list(classes.values())))
    with atomic_path(path) as temporary:
        pd.concat([studies.table[KEYS], pd.DataFrame(columns)], axis=1).to_csv(temporary, index=False)
    run.finish({"predictions": FILE_NAME, "num_studies": len(studies.table), "scale": aligned.scale})
    return path


def class_scores(aligned: Aligned, studies: Studies, classes: Sequence[Sentences]) -> npt.NDArray[np.float64]:
    """Probability of each class: (studies, classes).

    Args:
        aligned: what words and pictures are compared by.
        studies: their unit vectors.
        classes: the sentences of each class.
    """
    means = np.stack([aligned.words(list(sentences)).mean(axis=0) for sentences in classes])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    cosines = studies.pictures.astype(np.float64) @ means.T.astype(np.float64)
    scores: npt.NDArray[np.float64] = softmax(aligned.scale * cosines, axis=1)
    return scores


def _scores(
    column: str, classes: dict[str, Sentences], scores: npt.NDArray[np.float64]
) -> dict[str, npt.NDArray[np.float64]]:
    """Score columns by name; the one of 0 and 1 is that of positive."""
    names = list(classes)
    if POSITIVE in classes:
        return {column + SCORE_SUFFIX: scores[:, names.index(POSITIVE)]}
    return {
        f"{column}{SCORE_SUFFIX}_{name.replace(' ', '_')}": scores[:, place]
        for place, name in enumerate(names)
    }


def _require_columns(config: ZeroshotConfig, videos: pd.DataFrame) -> None:
    for column, classes in config.prompts.items():
        if column not in videos:
            raise UserError(
                f"{config.data.manifest}: no column {column!r}, which prompts names; "
                f"found {', '.join(videos.columns)}"
            )
        found = set(videos[column].dropna().astype(str))
        unknown = sorted(found - set(classes)) if POSITIVE not in classes else []
        if unknown:
            raise UserError(
                f"{config.data.manifest}: column {column}: found {unknown[0]!r}, expected the classes of "
                f"prompts: {', '.join(classes)} ({NEGATIVE} and {POSITIVE} for 0 and 1)"
            )


def _labels(manifest: Path, videos: pd.DataFrame, column: str, studies: Studies) -> list[object]:
    """The label of each study, empty where none of its videos is assessed; of 0 and 1 the larger."""
    known = videos.dropna(subset=[column]).sort_values(column)
    is_number = pd.api.types.is_numeric_dtype(known[column])
    number = int((known.drop_duplicates([*KEYS, column]).groupby(KEYS).size() > 1).sum())
    if number and not is_number:
        raise UserError(
            f"{manifest}: column {column}: the videos of {number} studies differ, and a study is predicted "
            "as a whole; give them one label, or each video a study_id of its own"
        )
    of_study = known.groupby(KEYS)[column].last().to_dict()
    found = [of_study.get(key, "") for key in studies.table[KEYS].itertuples(index=False, name=None)]
    return [int(value) if is_number and value != "" else value for value in found]
