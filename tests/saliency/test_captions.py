import numpy as np
import pandas as pd

from echossl.config.task import TaskSettings
from echossl.saliency.captions import LINE_HEIGHT_PIXELS, moments, text_line, with_heading, with_notes
from echossl.saliency.output import outputs_of
from echossl.saliency.pictures import heading


def test_words_fit_into_their_line_or_are_cut() -> None:
    for text in ("short", "a line that is far too long for a picture of this width " * 3):
        line = text_line(text, 240)
        assert line.shape == (LINE_HEIGHT_PIXELS, 240, 3)
        assert line[:, :200].max() > 150
        assert not line[:, -6:].any()  # the margin stays free
    assert not text_line("", 240).any()


def test_heading_stands_above_every_picture_and_leaves_it_alone() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (3, 30, 120, 3), dtype=np.uint8)
    headed = with_heading(pictures, ["one", "two"])
    assert headed.shape == (3, 30 + 2 * LINE_HEIGHT_PIXELS, 120, 3)
    assert np.array_equal(headed[:, 2 * LINE_HEIGHT_PIXELS :], pictures)
    assert np.array_equal(headed[0, :20], text_line("one", 120))
    assert np.array_equal(headed[2, 20:40], text_line("two", 120))
    assert np.array_equal(with_heading(pictures[1], ["one", "two"]), headed[1])


def test_each_picture_has_its_own_note() -> None:
    pictures = np.zeros((2, 30, 200, 3), dtype=np.uint8)
    noted = with_notes(pictures, ["0.00 s", "0.25 s"])
    assert noted.shape == (2, 50, 200, 3)
    assert np.array_equal(noted[1, 30:], text_line("0.25 s", 200))
    assert not np.array_equal(noted[0], noted[1])


def test_moments_name_the_beat_where_it_is_known() -> None:
    seconds = np.array([0.0, 0.254])
    assert moments(seconds, None) == ["0.00 s", "0.25 s"]
    assert moments(seconds, np.array([0.9, 0.06])) == ["0.00 s, 90% of the beat", "0.25 s, 6% of the beat"]


def test_heading_names_study_and_score_and_no_file() -> None:
    video = pd.Series(
        {
            "study_id": "S7",
            "path": "/data/jane doe.avi",
            "row": 3,
            "label": 1,
            "score": -0.837,
            "patient_id": "P",
        }
    )
    (binary,) = outputs_of(TaskSettings(name="binary", columns=("severe_as",)))
    assert heading(video, binary) == ("study S7, video 3 of the store", "severe_as: 1, score -0.84")
    (number,) = outputs_of(TaskSettings(name="regression", columns=("velocity",)))
    assert heading(video, number)[1] == "velocity: above the median, score -0.84"
