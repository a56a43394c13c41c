"""From settings to a folder of encoded videos, a table of patients and their truth; can be interrupted."""

import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from echossl import __version__
from echossl.config.phantom import Container, PhantomConfig, ViewName
from echossl.data.workers import leave_if_stopped, run_jobs
from echossl.files import atomic_path, write_json
from echossl.phantom.anatomy import Patient
from echossl.phantom.encode import write_video
from echossl.phantom.folder import open_folder, started_path
from echossl.phantom.people import person, table_row, truth_row
from echossl.phantom.render import patient_amplitude, render_video, view_of
from echossl.phantom.truth import truth_path, write_truth
from echossl.progress import progress

FORMAT_VERSION = 1


def generate(config: PhantomConfig) -> None:
    """Write ``config.patients`` synthetic patients to ``config.out``.

    The folder holds ``videos/P00001/P00001_1.avi`` and so on, ``patients.csv`` with the measurements,
    ``truth/`` (read by ``echossl.phantom.truth`` only) and, written last, ``phantom.json``. With other
    settings of views there is ``videos.csv``; with hospitals, findings or reports there is
    ``truth/patients.csv``. After an interruption the same call goes on; a finished folder of the same
    settings is left as it is.

    Raises:
        RunFolderError: if the folder holds something else.
    """
    if open_folder(config):
        return
    todo = [number for number in range(1, config.patients + 1) if not _is_done(config, number)]
    done = config.patients - len(todo)
    with progress("phantom", total=config.patients, unit="patients", done=done) as bar:
        for _ in run_jobs(partial(make_patient, config), todo, workers=config.workers):
            bar.advance()
    _write_tables(config)
    write_json(
        config.out / "phantom.json",
        {"format": FORMAT_VERSION, "echossl": __version__, "config": config.model_dump(mode="json")},
    )
    started_path(config.out).unlink(missing_ok=True)


def _write_tables(config: PhantomConfig) -> None:
    """The tables of patients and, where there is more to say than there was of old, of views and truth."""
    patients = [person(config, number) for number in range(1, config.patients + 1)]
    tables = {"patients.csv": [table_row(config, patient) for patient in patients]}
    if config.views != ("plax",):
        tables["videos.csv"] = [
            {"path": str(job.path.relative_to(config.out)), "view": job.view}
            for patient in patients
            for job in _jobs(config, patient.number)
        ]
    if config.sources != ("phantom",) or config.findings or config.reports:
        tables["truth/patients.csv"] = [truth_row(config, patient) for patient in patients]
    for name, rows in tables.items():
        with atomic_path(config.out / name) as temporary:
            pd.DataFrame(rows).to_csv(temporary, index=False)


@dataclass(frozen=True)
class _Job:
    """One video to be written."""

    number: int
    view: ViewName
    container: Container
    compressed: bool
    path: Path


def _jobs(config: PhantomConfig, patient_number: int) -> list[_Job]:
    """The videos of a patient; they depend on the patient's own number only."""
    generator = np.random.default_rng([config.seed, patient_number, 0, 3])
    fewest, most = config.videos_per_study
    jobs = []
    for number in range(1, int(generator.integers(fewest, most + 1)) + 1):
        turn = patient_number + number - 2
        container = config.containers[turn % len(config.containers)]
        patient_id = f"P{patient_number:05d}"
        path = config.out / "videos" / patient_id / f"{patient_id}_{number}.{container}"
        view = view_of(config, patient_number, number)
        jobs.append(_Job(number, view, container, bool(turn // len(config.containers) % 2), path))
    return jobs


def _is_done(config: PhantomConfig, patient_number: int) -> bool:
    # the truth of a video is written after the video
    return all(
        job.path.is_file() and truth_path(config.out, job.path).is_file()
        for job in _jobs(config, patient_number)
    )


def make_patient(config: PhantomConfig, number: int) -> int:
    """Write the videos and the truth of one patient; gives the number back."""
    patient = person(config, number)
    amplitudes = {view: patient_amplitude(patient, config, view) for view in config.views}
    shutil.rmtree(config.out / "videos" / patient.patient_id, ignore_errors=True)
    for job in _jobs(config, number):
        leave_if_stopped()
        rendered = render_video(patient, job.number, config, amplitudes[job.view])
        tags = _tags(patient, job, rendered.cm_per_pixel)
        write_video(job.path, rendered.frames, rendered.beats.frames_per_second, job.container, tags)
        write_truth(truth_path(config.out, job.path), patient, rendered)
    return number


def _tags(patient: Patient, job: _Job, cm_per_pixel: float) -> dict[str, str | float]:
    view: dict[str, str | float] = {} if job.view == "plax" else {"view": "apical four chambers"}
    return view | {
        "patient_id": patient.patient_id,
        "sex": patient.sex,
        "age": patient.age_years,
        "study": f"{patient.patient_id}_S1",
        "video": job.number,
        "cm_per_pixel": cm_per_pixel,
        "compressed": job.compressed,
    }
