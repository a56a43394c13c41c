"""Who a patient of the settings is: the hospital, the findings beside the stenosis, what a table says."""

from dataclasses import replace
from typing import Any

import numpy as np

from echossl.config.phantom import FindingSettings, PhantomSettings, SourceName
from echossl.phantom.anatomy import Heart, Patient, row_of, sample_patient
from echossl.phantom.makers import ATRIUM, EFFUSION, FINDINGS, HYPERTROPHY, MAKERS, STENOSIS
from echossl.phantom.reports import said_by, write_report

# fourth words of a patient's random streams; those before are taken by the pictures
SOURCE_STREAM, FINDING_STREAM, CELL_STREAM, REPORT_STREAM = 4, 5, 6, 7
THICKER_CM, WIDER = 0.45, 0.38
EFFUSION_CM = (0.5, 1.2)


def person(config: PhantomSettings, number: int) -> Patient:
    """Patient ``number`` of the settings; no other patient changes the result."""
    source: SourceName = config.sources[_stream(config, number, SOURCE_STREAM).integers(len(config.sources))]
    patient, attempt = sample_patient(config.seed, number, config.effect), 0
    while patient.measurements.graded.grade not in MAKERS[source].grades:
        attempt += 1
        patient = sample_patient(config.seed, number, config.effect, attempt)
    patient = replace(patient, source=source)
    if config.findings is None:
        return patient
    return _with_findings(patient, config.findings, config.effect, _stream(config, number, FINDING_STREAM))


def table_row(config: PhantomSettings, patient: Patient) -> dict[str, Any]:
    """The patient's line of ``patients.csv``."""
    row = row_of(patient)
    if config.sources != ("phantom",):
        row["source"] = patient.source
    if config.findings:
        row |= _cells(patient, config.findings, _stream(config, patient.number, CELL_STREAM))
    if config.reports:
        row["report"] = write_report(patient, config.reports, _stream(config, patient.number, REPORT_STREAM))
    return row


def truth_row(config: PhantomSettings, patient: Patient) -> dict[str, Any]:
    """The patient's line of ``truth/patients.csv``: what the labels and the report may keep to themselves."""
    row: dict[str, Any] = {"patient_id": patient.patient_id, "source": patient.source}
    if config.reports:
        said = said_by(config.reports, _stream(config, patient.number, REPORT_STREAM))
        row |= {f"report_says_{topic}": int(is_said) for topic, is_said in said.items()}
    return row | patient.latents()


def _stream(config: PhantomSettings, number: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, number, 0, stream])


def _with_findings(
    patient: Patient, settings: FindingSettings, effect: float, generator: np.random.Generator
) -> Patient:
    """The same patient with other findings; how marked they are is scaled by the effect."""
    shares = {
        ATRIUM: settings.left_atrial_enlargement,
        HYPERTROPHY: settings.left_ventricular_hypertrophy,
        EFFUSION: settings.pericardial_effusion,
    }
    draws, amounts = generator.random(len(shares)), effect * generator.uniform(0.8, 1.2, len(shares))
    depth_cm = effect * float(generator.uniform(*EFFUSION_CM))
    found = {name: bool(draw < share) for (name, share), draw in zip(shares.items(), draws, strict=True)}
    amount = {name: float(size) * found[name] for name, size in zip(shares, amounts, strict=True)}
    heart = _changed(patient.heart, amount[ATRIUM], amount[HYPERTROPHY], depth_cm * found[EFFUSION])
    stenosis = patient.measurements.graded.grade != "none"
    return replace(patient, heart=heart, findings={STENOSIS: stenosis} | found)


def _changed(heart: Heart, atrium: float, hypertrophy: float, effusion_cm: float) -> Heart:
    first, second = heart.atrium_cm
    wider = 1 + WIDER * atrium
    return replace(
        heart,
        atrium_cm=(first * wider, second * wider),
        septum_cm=heart.septum_cm + THICKER_CM * hypertrophy,
        posterior_wall_cm=heart.posterior_wall_cm + THICKER_CM * hypertrophy,
        effusion_cm=effusion_cm,
    )


def _cells(
    patient: Patient, settings: FindingSettings, generator: np.random.Generator
) -> dict[str, int | str]:
    """What stands in the label columns: 0, 1, nothing, or the hospital's word for doubt."""
    maker, cells = MAKERS[patient.source], {}
    for name in FINDINGS:
        is_assessed, in_doubt = generator.random(2) < (settings.assessed, settings.doubt)
        cell: int | str = int(patient.findings[name])
        if in_doubt:
            cell = maker.doubt
        cells[name] = cell if is_assessed and name in maker.assessed else ""
    return cells
