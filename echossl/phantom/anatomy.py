"""Who the synthetic patients are: a latent severity, and the measurements and shapes that follow."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from echossl.config.phantom import SourceName
from echossl.data.severity import Graded, grade_from

# with 0.5 m/s of noise on the velocity: about 21 % severe, AUROC of the latent itself about .96
SEVERITY_BETA = (1.1, 1.65)
SCLEROTIC_SHARE = 0.12
THIN_SHARE = 0.08


@dataclass(frozen=True)
class Measurements:
    """What a sonographer would write down; the grade follows from these numbers, not from the latent."""

    peak_velocity_m_per_s: float
    mean_gradient_mmhg: float
    valve_area_cm2: float
    graded: Graded


@dataclass(frozen=True)
class Valve:
    """The aortic valve as it looks and moves.

    Attributes:
        opening: share of the full opening that is reached, 0 to 1.
        thickness_cm: thickness of the leaflets.
        echogenicity_db: brightness of the leaflets against the pericardium.
        shadow_db_per_cm: loss behind one centimetre of leaflet.
        closure_offset: place where the leaflets meet, in root radii from the middle.
        nodules: (nodules, 4): leaflet 0 or 1, place along it 0 to 1, radius in cm, extra brightness in dB.
    """

    opening: float
    thickness_cm: float
    echogenicity_db: float
    shadow_db_per_cm: float
    closure_offset: float
    nodules: NDArray[np.float32]


@dataclass(frozen=True)
class Heart:
    """Shapes in cm; the origin is the aortic valve, x points to the aorta, y away from the probe."""

    ventricle_long_cm: float
    ventricle_short_cm: float
    septum_cm: float
    posterior_wall_cm: float
    rv_depth_cm: float
    root_radius_cm: float
    root_angle_rad: float
    atrium_cm: tuple[float, float]
    atrium_waves: tuple[float, ...]
    descending_aorta_cm: tuple[float, float, float]
    chest_wall_cm: float
    myocardium_db: float
    effusion_cm: float = 0.0


@dataclass(frozen=True)
class Patient:
    """Everything that is the same in all videos of one patient.

    ``findings`` are there only where the settings ask for them: name to whether it is present.
    """

    number: int
    age_years: int
    sex: str
    severity: float
    calcium: float
    sclerotic: bool
    measurements: Measurements
    valve: Valve
    heart: Heart
    heart_rate_per_min: float
    ejection_fraction: float
    source: SourceName = "phantom"
    findings: dict[str, bool] = field(default_factory=dict)

    @property
    def patient_id(self) -> str:
        """Name of the patient, also the folder of the videos."""
        return f"P{self.number:05d}"

    def latents(self) -> dict[str, float]:
        """The causes behind the picture, by name."""
        latents = {
            "severity": self.severity,
            "calcium": self.calcium,
            "sclerotic": float(self.sclerotic),
            "opening": self.valve.opening,
            "thickness_cm": self.valve.thickness_cm,
            "echogenicity_db": self.valve.echogenicity_db,
            "shadow_db_per_cm": self.valve.shadow_db_per_cm,
            "nodules": float(len(self.valve.nodules)),
            "septum_cm": self.heart.septum_cm,
            "rv_depth_cm": self.heart.rv_depth_cm,
            "root_radius_cm": self.heart.root_radius_cm,
            "ventricle_short_cm": self.heart.ventricle_short_cm,
            "heart_rate_per_min": self.heart_rate_per_min,
            "ejection_fraction": self.ejection_fraction,
        }
        if not self.findings:
            return latents
        shapes = {
            "atrium_cm": self.heart.atrium_cm[0],
            "posterior_wall_cm": self.heart.posterior_wall_cm,
            "effusion_cm": self.heart.effusion_cm,
        }
        return latents | shapes | {f"has_{name}": float(found) for name, found in self.findings.items()}


def patient_generator(seed: int, number: int, attempt: int = 0) -> np.random.Generator:
    """The random numbers of one patient; videos use [seed, number, 1], [seed, number, 2], ..."""
    return np.random.default_rng([seed, number, 0, 10, attempt] if attempt else [seed, number, 0])


def sample_patient(seed: int, number: int, effect: float = 1.0, attempt: int = 0) -> Patient:
    """Draw patient ``number`` of ``seed``; no other patient changes the result.

    Args:
        seed: seed of the whole phantom.
        number: number of the patient, from 1.
        effect: scale of what the disease does to the picture; the measurements do not depend on it.
        attempt: another patient of the same number, where the first is none of those looked for.
    """
    generator = patient_generator(seed, number, attempt)
    severity = float(generator.beta(*SEVERITY_BETA))
    calcium, sclerotic = _calcium(severity, generator)
    measurements = _measure(severity, generator)
    heart = _heart(effect * severity, generator)
    rate = float(np.clip(generator.normal(70, 11), 45, 110))
    ejection = float(np.clip(generator.normal(0.60 - 0.05 * effect * severity, 0.08), 0.25, 0.75))
    age = int(np.clip(generator.normal(62 + 14 * severity, 10), 25, 96))
    sex = "F" if generator.random() < 0.48 else "M"
    # last: how many numbers the nodules take depends on the effect
    valve = _valve(effect * severity, effect * calcium, generator)
    return Patient(number, age, sex, severity, calcium, sclerotic, measurements, valve, heart, rate, ejection)


def _calcium(severity: float, generator: np.random.Generator) -> tuple[float, bool]:
    """Visible thickening: that of the severity, but more in sclerosis and less in a thin stiff valve."""
    kind, amount = generator.random(), generator.uniform(0.3, 0.65)
    if kind < SCLEROTIC_SHARE:
        return severity + amount * (1 - severity), True
    if kind > 1 - THIN_SHARE:
        return severity * (1 - amount), False
    return severity, False


def _measure(severity: float, generator: np.random.Generator) -> Measurements:
    """Velocity from severity, gradient from velocity (Bernoulli), area from continuity; each with noise."""
    velocity = max(0.8, 1.3 + 4.1 * severity + generator.normal(0, 0.5))
    gradient = max(1.5, 2.4 * velocity**2 * np.exp(generator.normal(0, 0.05)) - 0.5)
    area = 3.65 / velocity * np.exp(generator.normal(0, 0.10))
    rounded = round(float(velocity), 2), round(float(gradient), 1), round(float(np.clip(area, 0.3, 4.0)), 2)
    return Measurements(*rounded, grade_from(*rounded))


def _valve(severity: float, calcium: float, generator: np.random.Generator) -> Valve:
    noise = generator.standard_normal(4)
    offset = float(np.clip(generator.normal(0, 0.08), -0.2, 0.2))
    count = generator.poisson(0.4 + 3.0 * max(calcium, 0.0) ** 1.5)
    nodules = np.column_stack(
        [
            generator.integers(0, 2, count),
            generator.uniform(0.3, 1.0, count),
            generator.uniform(0.12, 0.26, count),
            generator.uniform(2.0, 7.0, count),
        ]
    )
    return Valve(
        opening=float(np.clip(0.92 - 0.72 * severity + 0.09 * noise[0], 0.06, 0.97)),
        thickness_cm=float(max(0.06, 0.10 + 0.22 * calcium + 0.035 * noise[1])),
        echogenicity_db=float(-13 + 11 * calcium + 2.6 * noise[2]),
        shadow_db_per_cm=float(max(0.0, 4 * (0.9 * calcium + 0.25 * noise[3]))),
        closure_offset=offset,
        nodules=nodules.astype(np.float32).reshape(count, 4),
    )


def _heart(severity: float, generator: np.random.Generator) -> Heart:
    def around(mean: float, spread: float) -> float:
        # two and a half spreads: shapes stay shapes
        return float(mean + spread * np.clip(generator.standard_normal(), -2.5, 2.5))

    # a large person has a large ventricle and a large root; the mitral valve needs the room between them
    body = around(1.0, 0.06)
    atrium = 1 + 0.04 * severity
    return Heart(
        ventricle_long_cm=around(4.6 * body, 0.30),
        ventricle_short_cm=around(2.35 * body, 0.13),
        septum_cm=around(0.95 + 0.17 * severity, 0.16),
        posterior_wall_cm=around(0.9 + 0.12 * severity, 0.14),
        rv_depth_cm=around(2.1, 0.45),
        root_radius_cm=around(1.45 * body, 0.10),
        root_angle_rad=around(-0.2, 0.12),
        atrium_cm=(around(2.35, 0.25) * atrium, around(1.75, 0.2) * atrium),
        atrium_waves=tuple(generator.normal(0, 0.05, 8).tolist()),
        descending_aorta_cm=(around(0.6, 0.5), around(6.4, 0.3), around(1.05, 0.12)),
        chest_wall_cm=around(1.6, 0.25),
        myocardium_db=around(-17.0, 2.5),
    )


def report_of(patient: Patient) -> str:
    """One sentence as a reader would dictate it, from the measurements."""
    measured, grade = patient.measurements, patient.measurements.graded.grade
    finding = "no aortic stenosis" if grade == "none" else f"{grade} aortic stenosis"
    if measured.graded.discordant:
        finding += " with discordant valve area"
    return (
        f"Peak aortic velocity {measured.peak_velocity_m_per_s:.1f} m/s, mean gradient "
        f"{measured.mean_gradient_mmhg:.0f} mmHg, valve area {measured.valve_area_cm2:.1f} cm2: {finding}."
    )


def row_of(patient: Patient) -> dict[str, Any]:
    """The patient's line of ``patients.csv``."""
    measured = patient.measurements
    return {
        "patient_id": patient.patient_id,
        "study_id": f"{patient.patient_id}_S1",
        "severe_as": int(measured.graded.severe),
        "as_grade": measured.graded.grade,
        "peak_velocity_m_per_s": measured.peak_velocity_m_per_s,
        "mean_gradient_mmhg": measured.mean_gradient_mmhg,
        "valve_area_cm2": measured.valve_area_cm2,
        "discordant": int(measured.graded.discordant),
        "age_years": patient.age_years,
        "sex": patient.sex,
        "report": report_of(patient),
    }
