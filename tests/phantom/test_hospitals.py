"""Several hospitals, findings beside the stenosis: who is drawn, what the tables say, what is seen."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from echossl.config.phantom import FindingSettings, PhantomConfig, PhantomSettings
from echossl.config.sources import PhantomSource
from echossl.data.labels import encode_labels, encode_multilabel
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.sources.phantom import FINDINGS as COLUMNS
from echossl.data.sources.phantom import index_phantom
from echossl.errors import ConfigError
from echossl.phantom import generate
from echossl.phantom.anatomy import sample_patient
from echossl.phantom.makers import ATRIUM, EFFUSION, FINDINGS, HYPERTROPHY, MAKERS, STENOSIS, UNCERTAIN
from echossl.phantom.people import person, table_row, truth_row
from echossl.phantom.render import plan_video, render_video
from echossl.phantom.screen import burn_in

ALL = ("phantom", "harbour", "hill", "lake")
STILLS = {"containers": ("png",), "image_height": (96, 96)}


def people(count=300, **changes):
    settings = PhantomSettings(seed=2, **changes)
    return settings, [person(settings, number) for number in range(1, count + 1)]


def flagged(**shares) -> FindingSettings:
    return FindingSettings(**(dict.fromkeys((ATRIUM, HYPERTROPHY, EFFUSION), 0.0) | shares))


def test_without_hospitals_and_findings_a_patient_is_who_he_was():
    settings = PhantomSettings(seed=5, effect=0.7)
    for number in (1, 2, 30):
        old, new = sample_patient(5, number, 0.7), person(settings, number)
        assert new.latents() == old.latents()
        assert new.measurements == old.measurements
        assert (new.source, new.findings) == ("phantom", {})


def test_every_hospital_has_its_own_classes_and_about_its_share():
    _, everyone = people(sources=ALL)
    for source in ALL:
        grades = {p.measurements.graded.grade for p in everyone if p.source == source}
        assert grades == set(MAKERS[source].grades)
        assert 0.15 < np.mean([p.source == source for p in everyone]) < 0.35
    assert len({MAKERS[source].grades for source in ALL}) == len(ALL)


def test_a_patient_does_not_depend_on_the_number_of_patients_or_on_the_others():
    settings, everyone = people(20, sources=ALL, findings=FindingSettings())
    for number in (20, 7):
        alone, there = person(settings, number), everyone[number - 1]
        assert alone.latents() == there.latents()
        assert alone.source == there.source


def test_findings_have_their_prevalence_and_nothing_to_do_with_each_other():
    _, everyone = people(800, findings=FindingSettings(pericardial_effusion=0.2))
    table = pd.DataFrame([p.findings for p in everyone]).astype(float)
    assert tuple(table.columns) == FINDINGS == COLUMNS
    assert abs(table[EFFUSION].mean() - 0.2) < 0.05
    assert abs(table[ATRIUM].mean() - 0.3) < 0.05
    correlations = table.corr().to_numpy()[np.triu_indices(4, 1)]
    assert np.abs(correlations).max() < 0.12


def test_a_finding_changes_its_own_shape_only():
    (_, (plain,)), (_, (found,)) = (people(1, findings=flagged(**share)) for share in ({}, {EFFUSION: 1.0}))
    differing = {name for name, value in found.latents().items() if value != plain.latents()[name]}
    assert differing == {"effusion_cm", f"has_{EFFUSION}"}
    assert found.heart.effusion_cm >= 0.5


@pytest.mark.parametrize(
    ("finding", "view"),
    [(ATRIUM, "plax"), (ATRIUM, "a4c"), (HYPERTROPHY, "a4c"), (EFFUSION, "a4c"), (EFFUSION, "plax")],
)
def test_a_finding_is_seen_in_the_picture(finding, view):
    # the same patient, moment, speckle and noise with and without it
    pictures = []
    for shares in ({}, {finding: 1.0}):
        settings = PhantomSettings(seed=2, view="sector", views=(view,), findings=flagged(**shares), **STILLS)
        pictures.append(render_video(person(settings, 4), 1, settings).frames[0].astype(float))
    changed = np.abs(pictures[0] - pictures[1]) > 25
    assert 0.01 < changed.mean() < 0.3


def test_the_effect_scales_the_findings_too():
    settings, _ = people(0, findings=flagged(**{ATRIUM: 1.0}), effect=0.0)
    none, _ = people(0, findings=flagged(), effect=0.0)
    assert person(settings, 3).heart == person(none, 3).heart
    assert person(settings, 3).findings[ATRIUM]


def test_cells_are_empty_where_not_assessed_and_only_one_hospital_writes_uncertain():
    settings, everyone = people(600, sources=ALL, findings=FindingSettings(assessed=0.8, doubt=0.2))
    table = pd.DataFrame([table_row(settings, p) for p in everyone])
    for source in ALL:
        rows = table[table["source"] == source]
        for name in FINDINGS:
            words = set(rows[name].astype(str))
            if name not in MAKERS[source].assessed:
                assert words == {""}
                continue
            assert words - {""} <= {"0", "1", UNCERTAIN}
            assert (UNCERTAIN in words) == (source == "lake")
            filled = rows[name].isin([0, 1]).mean()
            assert abs(filled - 0.8 * 0.8) < 0.15


def test_filled_cells_tell_the_truth():
    settings, everyone = people(200, sources=ALL, findings=FindingSettings())
    for patient in everyone:
        row, truth = table_row(settings, patient), truth_row(settings, patient)
        for name in FINDINGS:
            if row[name] in {0, 1}:
                assert row[name] == int(patient.findings[name]) == truth[f"has_{name}"]
        assert row["source"] == truth["source"] == patient.source
        assert patient.findings[STENOSIS] == (row["as_grade"] != "none")


def test_all_cells_are_filled_when_asked():
    settings, everyone = people(50, findings=FindingSettings(assessed=1, doubt=0))
    table = pd.DataFrame([table_row(settings, p) for p in everyone])
    assert table[list(FINDINGS)].isin([0, 1]).all(axis=None)


def test_hospitals_look_different():
    means, fine = {}, {}
    for source in ALL:
        settings = PhantomSettings(seed=2, sources=(source,), share=1.0, **STILLS)
        videos = [render_video(person(settings, number), 1, settings) for number in (1, 2, 3)]
        pictures = [video.frames[0].astype(float) for video in videos]
        means[source] = np.mean([picture[picture > 0].mean() for picture in pictures])
        # speckle: how fast grey changes from pixel to pixel, against its spread
        fine[source] = np.mean(
            [
                np.abs(np.diff(picture[30:70, 40:60])).mean() / picture[30:70, 40:60].std()
                for picture in pictures
            ]
        )
    assert means["harbour"] > means["phantom"] > means["hill"]
    assert fine["hill"] > fine["phantom"] > fine["harbour"]


def test_burnt_in_words_lie_inside_of_the_fan_and_stay_after_masking():
    settings = PhantomSettings(seed=2, sources=("hill",), **STILLS)
    for number in range(1, 4):
        fan = plan_video(person(settings, number), 1, settings).fan
        pictures = np.zeros((2, *fan.inside.shape), np.uint8)
        burn_in(pictures, fan, MAKERS["hill"].burnt_in)
        assert (pictures[:, fan.inside] > 60).sum() > 40
        assert not pictures[:, ~fan.inside].any()
        pictures[:] = 255
        burn_in(pictures, fan, "HILL")
        assert (pictures == 255).all()


def test_the_manifest_holds_what_the_tables_say_and_no_truth(tmp_path: Path):
    out = tmp_path / "phantom"
    config = PhantomConfig(
        out=out, patients=4, workers=1, videos_per_study=(1, 1), sources=("lake",), seed=1,
        findings=FindingSettings(doubt=0.5, assessed=1.0), containers=("png",), image_height=(64, 64),
    )  # fmt: skip
    generate(config)
    table = index_phantom(out, PhantomSource())
    assert (table["source"] == "lake").all()
    assert tuple(table.columns[-4:]) == FINDINGS
    truth = pd.read_csv(out / "truth" / "patients.csv")
    assert not {"severity", "has_aortic_stenosis"} & set(table.columns)
    assert len(truth) == 4
    write_manifest(table, tmp_path / "manifest.csv")
    again = read_manifest(tmp_path / "manifest.csv")
    findings = encode_multilabel(again, FINDINGS)
    known = ~np.isnan(findings)
    assert 0 < known.sum() < known.size
    expected = truth[[f"has_{name}" for name in FINDINGS]].to_numpy()
    np.testing.assert_array_equal(findings[known], expected[known])


def test_trap_15_classes_are_numbered_alike_whatever_a_hospital_has():
    codes = {}
    for source in ALL:
        settings, everyone = people(60, sources=(source,))
        table = pd.DataFrame([table_row(settings, p) for p in everyone])
        found = encode_labels(table, "as_grade")
        codes[source] = dict(zip(table["as_grade"], found.tolist(), strict=True))
    for source in ALL:
        assert codes[source].items() <= codes["phantom"].items()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sources": ("hill", "hill")}, "named twice"),
        ({"views": ("plax", "plax")}, "named twice"),
        ({"containers": ("png", "avi")}, "stands alone"),
        ({"containers": ("png",), "beats": (1.0, 2.0)}, "no beats"),
        ({"containers": ("png",), "frames_per_second": (25.0, 30.0)}, "no frames_per_second"),
        ({"sources": ("valley",)}, "harbour"),
    ],
)
def test_settings_that_say_nothing_are_refused(settings, words, tmp_path):
    from echossl.config import load_config

    given = [f"{key}={list(value)}" for key, value in settings.items()]
    with pytest.raises(ConfigError, match=words):
        load_config(PhantomConfig, None, [*given, f"out={tmp_path}"])
