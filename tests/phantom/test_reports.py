"""Free-text reports: true, worded in many ways, in two languages, and silent where they are told to be."""

import re
from dataclasses import replace

import numpy as np
import pytest

from echossl.config.phantom import FindingSettings, PhantomSettings, ReportSettings
from echossl.phantom.makers import ATRIUM, EFFUSION, HYPERTROPHY
from echossl.phantom.people import person, table_row, truth_row
from echossl.phantom.phrases import LANGUAGES, TOPICS
from echossl.phantom.reports import said_by, write_report

PLAIN = ReportSettings(left_out=0, typos=0)
FINDINGS = FindingSettings(
    left_atrial_enlargement=0.5, left_ventricular_hypertrophy=0.5, pericardial_effusion=0.5
)


def reports(count=60, findings=FINDINGS, **changes):
    settings = PhantomSettings(seed=4, findings=findings, reports=ReportSettings(**changes))
    patients = [person(settings, number) for number in range(1, count + 1)]
    return settings, patients, [table_row(settings, patient)["report"] for patient in patients]


def sentences_of(language, topic, state):
    """The wordings as patterns, a number for every blank."""
    for wording in LANGUAGES[language][topic][state]:
        yield re.sub(r"\\\{\w+\\\}", r"[0-9.,]+", re.escape(wording))


def says(text, language, topic, state):
    return any(re.search(pattern, text) for pattern in sentences_of(language, topic, state))


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_report_says_what_is_true_of_every_part_and_nothing_else(language):
    _, patients, texts = reports(language=language, left_out=0, typos=0)
    for patient, text in zip(patients, texts, strict=True):
        states = {"atrium": ATRIUM, "walls": HYPERTROPHY, "pericardium": EFFUSION}
        for topic, finding in states.items():
            present = patient.findings[finding]
            assert says(text, language, topic, "yes" if present else "no"), (topic, text)
            assert not says(text, language, topic, "no" if present else "yes"), (topic, text)
        grade = patient.measurements.graded.grade
        assert says(text, language, "valve", grade)
        assert says(text, language, "function", "yes" if patient.ejection_fraction < 0.5 else "no")


def test_languages_have_the_same_parts_and_states_with_several_wordings():
    english, german = LANGUAGES["english"], LANGUAGES["german"]
    assert set(english) == set(german) == {"opening", *TOPICS}
    for topic in english:
        assert set(english[topic]) == set(german[topic])
        for language in LANGUAGES.values():
            assert all(len(set(wordings)) >= 2 for wordings in language[topic].values())


def test_no_wording_of_one_state_is_a_wording_of_the_other():
    for language, parts in LANGUAGES.items():
        for topic in ("atrium", "walls", "pericardium", "function"):
            for state, other in (("yes", "no"), ("no", "yes")):
                for wording in parts[topic][state]:
                    assert not says(wording.format_map(_Numbers()), language, topic, other)


class _Numbers(dict):
    def __missing__(self, key):
        return "1.0"


def test_reports_are_the_same_for_a_seed_and_a_patient():
    _, _, first = reports(10)
    _, _, again = reports(10)
    _, _, more = reports(20)
    assert first == again == more[:10]
    assert len(set(first)) == len(first)


def test_left_out_parts_are_left_out_and_the_truth_says_which():
    settings, patients, texts = reports(left_out=0.4, typos=0)
    silent = 0
    for patient, text in zip(patients, texts, strict=True):
        truth = truth_row(settings, patient)
        for topic in TOPICS:
            states = [state for state in LANGUAGES["english"][topic] if says(text, "english", topic, state)]
            assert len(states) == truth[f"report_says_{topic}"]
            silent += not states
    assert 0.3 < silent / (len(texts) * len(TOPICS)) < 0.5


def test_a_report_that_leaves_all_out_is_still_a_sentence():
    _, _, texts = reports(5, left_out=1, typos=0)
    assert set(texts) <= set(LANGUAGES["english"]["opening"]["any"])


def test_errors_of_typing_change_letters_and_never_numbers():
    _, _, clean = reports(40, left_out=0, typos=0)
    _, _, wrong = reports(40, left_out=0, typos=0.3)
    assert clean != wrong
    changed = total = 0
    for before, after in zip(clean, wrong, strict=True):
        assert re.findall(r"[0-9.,]+", before) == re.findall(r"[0-9.,]+", after)
        for old, new in zip(before.split(), after.split(), strict=True):
            assert sorted(old) == sorted(new)
            assert (old[0], old[-1]) == (new[0], new[-1])
            long = len(old.strip(".,()")) >= 5
            assert long or old == new
            changed, total = changed + (old != new), total + long
    # two equal letters that change places are no error, so a little below the share
    assert 0.2 < changed / total < 0.32


def test_numbers_are_written_as_the_language_does():
    settings = PhantomSettings(seed=4, findings=FINDINGS)
    patient = person(settings, 1)
    measured = replace(patient.measurements, peak_velocity_m_per_s=4.26, valve_area_cm2=0.71)
    patient = replace(patient, measurements=measured)
    marks = {"english": ".", "german": ","}
    for language, mark in marks.items():
        plain = PLAIN.model_copy(update={"language": language})
        texts = " ".join(write_report(patient, plain, np.random.default_rng(s)) for s in range(40))
        assert f"0{mark}7 cm2" in texts
        assert not re.search(rf"\d[{'.,'.replace(mark, '')}]\d", texts)


def test_without_findings_the_rest_of_the_heart_is_said_to_be_normal():
    _, patients, texts = reports(30, findings=None, left_out=0, typos=0)
    assert all(patient.findings == {} for patient in patients)
    for text in texts:
        for topic in ("atrium", "walls", "pericardium"):
            assert says(text, "english", topic, "no")


def test_said_by_is_the_silence_of_the_report():
    for seed in range(20):
        settings = ReportSettings(left_out=0.5, typos=0)
        said = said_by(settings, np.random.default_rng(seed))
        text = write_report(person(PhantomSettings(), 1), settings, np.random.default_rng(seed))
        assert sum(said.values()) == len(re.findall(r"\.(?:\s|$)", text)) - 1


def test_the_one_sentence_of_old_stays_without_the_setting():
    row = table_row(PhantomSettings(seed=4), person(PhantomSettings(seed=4), 1))
    assert row["report"].startswith("Peak aortic velocity")
    assert "source" not in row
