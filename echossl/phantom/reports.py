"""Free-text reports of the phantom's studies: true, but worded freely, with typing errors and silence."""

import re

import numpy as np

from echossl.config.phantom import ReportSettings
from echossl.phantom.anatomy import Patient
from echossl.phantom.makers import ATRIUM, EFFUSION, HYPERTROPHY
from echossl.phantom.phrases import DECIMAL_MARKS, LANGUAGES, TOPICS

# a swap inside of a shorter word makes another word too easily
SHORTEST_MISTYPED = 5
REDUCED_BELOW = 0.50


def said_by(settings: ReportSettings, generator: np.random.Generator) -> dict[str, bool]:
    """Of which parts of the heart a report speaks; the first draws of :func:`write_report`."""
    kept = generator.random(len(TOPICS)) >= settings.left_out
    return dict(zip(TOPICS, kept.tolist(), strict=True))


def write_report(patient: Patient, settings: ReportSettings, generator: np.random.Generator) -> str:
    """The report of a study.

    Args:
        patient: of whom it tells the truth.
        settings: language, silence and errors of typing; numbers and units are never mistyped.
        generator: the patient's random numbers for this alone.

    Returns:
        One sentence for each part of the heart that is spoken of, in random order, after an opening.
    """
    said = said_by(settings, generator)
    wordings, numbers = LANGUAGES[settings.language], _numbers(patient, DECIMAL_MARKS[settings.language])
    sentences = []
    for topic, state in {"opening": "any", **_states(patient)}.items():
        choices = wordings[topic][state]
        sentence = choices[generator.integers(len(choices))].format(**numbers)
        if said.get(topic, True):
            sentences.append(sentence)
    order = generator.permutation(len(sentences) - 1) + 1
    text = " ".join([sentences[0], *(sentences[place] for place in order)])
    return _mistyped(text, settings.typos, generator)


def _states(patient: Patient) -> dict[str, str]:
    """What is true of each part of the heart, as the wordings call it."""
    flags = {
        "atrium": patient.findings.get(ATRIUM, False),
        "walls": patient.findings.get(HYPERTROPHY, False),
        "pericardium": patient.findings.get(EFFUSION, False),
        "function": patient.ejection_fraction < REDUCED_BELOW,
    }
    grade = patient.measurements.graded.grade
    return {"valve": grade} | {topic: "yes" if flag else "no" for topic, flag in flags.items()}


def _numbers(patient: Patient, mark: str) -> dict[str, str]:
    """The measurements as they are written, with their decimals."""
    measured = patient.measurements
    numbers = {
        "velocity": f"{measured.peak_velocity_m_per_s:.1f}",
        "gradient": f"{measured.mean_gradient_mmhg:.0f}",
        "area": f"{measured.valve_area_cm2:.1f}",
        "septum": f"{patient.heart.septum_cm:.1f}",
        "effusion": f"{patient.heart.effusion_cm:.1f}",
        "ejection": f"{100 * patient.ejection_fraction:.0f}",
    }
    return {name: number.replace(".", mark) for name, number in numbers.items()}


def _mistyped(text: str, share: float, generator: np.random.Generator) -> str:
    """Two neighbouring letters change places in some words, never the first or the last."""
    words = re.split(r"(\W+)", text)
    for place, word in enumerate(words):
        if len(word) < SHORTEST_MISTYPED or not word.isalpha():
            continue
        is_wrong, at = generator.random() < share, int(generator.integers(1, len(word) - 2))
        if is_wrong:
            words[place] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return "".join(words)
