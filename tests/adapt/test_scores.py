import numpy as np
import pandas as pd
import pytest

from echossl.adapt.scores import study_outputs
from echossl.errors import EchosslError


def _videos() -> pd.DataFrame:
    return pd.DataFrame({"patient_id": ["b", "a", "b", "b", "a"], "study_id": ["b1", "a1", "b2", "b1", "a1"]})


def test_trap_30_outputs_are_means_over_the_videos_of_a_study() -> None:
    outputs = np.array([[1.0, 0], [-2.0, 4], [0.5, 1], [3.0, 1], [-1.0, 0]], dtype=np.float32)
    studies, means = study_outputs(_videos(), outputs)
    assert studies["study_id"].tolist() == ["b1", "a1", "b2"]
    assert studies["patient_id"].tolist() == ["b", "a", "b"]
    assert means.tolist() == [[2.0, 0.5], [-1.5, 2.0], [0.5, 1.0]]


def test_means_do_not_depend_on_the_order_of_the_videos() -> None:
    generator = np.random.default_rng(0)
    videos = pd.DataFrame({"patient_id": "p", "study_id": generator.integers(0, 5, 60).astype(str)})
    outputs = generator.normal(size=(60, 3)).astype(np.float32)
    order = generator.permutation(60)
    results = [study_outputs(videos, outputs), study_outputs(videos.iloc[order], outputs[order])]
    first, second = (pd.DataFrame(means, index=studies["study_id"]) for studies, means in results)
    assert np.allclose(first, second.loc[first.index], rtol=0, atol=1e-15)


def test_output_that_is_no_number_stops_the_run() -> None:
    outputs = np.array([[1.0, 0], [0, np.nan], [0, 0], [np.inf, np.nan], [0, 0]])
    with pytest.raises(EchosslError, match="2 of 5 videos got no finite logit"):
        study_outputs(_videos(), outputs)
