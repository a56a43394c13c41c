import numpy as np
import pytest

from echossl.data.severity import grade_from
from echossl.evaluation import auc
from echossl.phantom.anatomy import report_of, row_of, sample_patient
from echossl.phantom.scanner import NUISANCES, sample_nuisances


@pytest.fixture(scope="module")
def patients():
    return [sample_patient(0, number) for number in range(1, 5001)]


def latent(patients, name):
    return np.array([patient.latents()[name] for patient in patients])


def severe(patients):
    return np.array([patient.measurements.graded.severe for patient in patients])


def test_a_fifth_is_severe_and_every_grade_occurs(patients):
    assert 0.20 <= severe(patients).mean() <= 0.22
    grades = [patient.measurements.graded.grade for patient in patients]
    assert all(grades.count(grade) > 800 for grade in ("none", "mild", "moderate", "severe"))


def test_the_grade_follows_from_the_measurements(patients):
    for patient in patients[:300]:
        measured = patient.measurements
        expected = grade_from(
            measured.peak_velocity_m_per_s, measured.mean_gradient_mmhg, measured.valve_area_cm2
        )
        assert measured.graded == expected


def test_label_noise_leaves_room_but_not_much(patients):
    assert 0.95 <= auc.auroc(severe(patients), latent(patients, "severity")) <= 0.97


def test_no_single_visible_cue_tells_all(patients):
    labels = severe(patients)
    bounds = {
        "opening": (0.88, 0.94),
        "thickness_cm": (0.80, 0.90),
        "echogenicity_db": (0.75, 0.86),
        "nodules": (0.65, 0.80),
        "septum_cm": (0.55, 0.66),
        "ejection_fraction": (0.5, 0.62),
        "heart_rate_per_min": (0.5, 0.53),
        "rv_depth_cm": (0.5, 0.53),
    }
    for name, (low, high) in bounds.items():
        area = auc.auroc(labels, latent(patients, name))
        assert low <= max(area, 1 - area) <= high, name


def test_sclerosis_without_stenosis_and_stenosis_with_thin_leaflets_both_occur(patients):
    thick, opening = latent(patients, "thickness_cm"), latent(patients, "opening")
    severity = latent(patients, "severity")
    sclerotic = (severity < 0.4) & (thick > 0.22) & (opening > 0.6)
    thin = (severity > 0.6) & (thick < 0.20) & (opening < 0.55)
    assert sclerotic.mean() > 0.01
    assert thin.mean() > 0.005
    assert severe(patients)[sclerotic].mean() < 0.05
    assert severe(patients)[thin].mean() > 0.5


def test_measurements_are_plausible_and_belong_together(patients):
    velocity = np.array([p.measurements.peak_velocity_m_per_s for p in patients])
    gradient = np.array([p.measurements.mean_gradient_mmhg for p in patients])
    area = np.array([p.measurements.valve_area_cm2 for p in patients])
    assert velocity.min() >= 0.8
    assert velocity.max() < 7.5
    assert np.corrcoef(velocity**2, gradient)[0, 1] > 0.97
    assert np.corrcoef(1 / velocity, area)[0, 1] > 0.9
    at_four = (velocity > 3.8) & (velocity < 4.2)
    assert 33 < gradient[at_four].mean() < 44
    assert 0.75 < area[at_four].mean() < 1.05
    discordant = np.mean([p.measurements.graded.discordant for p in patients])
    assert 0.05 < discordant < 0.15


def test_latents_are_in_their_ranges(patients):
    assert ((latent(patients, "opening") >= 0.06) & (latent(patients, "opening") <= 0.97)).all()
    assert (latent(patients, "thickness_cm") >= 0.06).all()
    assert (latent(patients, "heart_rate_per_min") >= 45).all()
    assert (latent(patients, "ejection_fraction") <= 0.75).all()
    assert (latent(patients, "septum_cm") > 0.4).all()


def test_effect_scales_what_is_seen_and_nothing_else():
    for number in range(1, 40):
        full, none = sample_patient(0, number), sample_patient(0, number, effect=0.0)
        assert full.measurements == none.measurements
        assert full.severity == none.severity
        assert none.valve.opening >= full.valve.opening
        assert none.heart.rv_depth_cm == full.heart.rv_depth_cm


def test_without_effect_the_picture_says_nothing():
    patients = [sample_patient(0, number, effect=0.0) for number in range(1, 1501)]
    for name in ("opening", "thickness_cm", "echogenicity_db", "septum_cm"):
        assert abs(np.corrcoef(latent(patients, name), latent(patients, "severity"))[0, 1]) < 0.08


def test_a_patient_depends_on_seed_and_number_only():
    first, again = sample_patient(7, 3), sample_patient(7, 3)
    assert row_of(first) == row_of(again)
    assert first.latents() == again.latents()
    assert row_of(first) != row_of(sample_patient(8, 3))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.95, 1.0])
def test_share_is_the_correlation_between_videos_of_a_patient(share):
    pairs = []
    for number in range(1500):
        videos = [
            sample_nuisances(
                share, np.random.default_rng([number, 0]), np.random.default_rng([number, video])
            )
            for video in (1, 2)
        ]
        pairs.append([[video[name] for name in NUISANCES] for video in videos])
    first, second = np.array(pairs).transpose(1, 0, 2).reshape(2, -1)
    assert abs(np.corrcoef(first, second)[0, 1] - share) < 0.03
    assert abs(first.std() - 1) < 0.05


def test_the_report_names_the_measurements():
    patient = sample_patient(0, 1)
    measured = patient.measurements
    text = report_of(patient)
    assert f"{measured.peak_velocity_m_per_s:.1f} m/s" in text
    assert "aortic stenosis" in text
    assert text.count(".") >= 1
    assert text.endswith(".")
