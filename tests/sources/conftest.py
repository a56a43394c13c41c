"""A small phantom whose videos every layout of a data set is built from."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
from layout_mimic_iv_echo import build_mimic_iv_echo

from echossl.config.phantom import PhantomConfig
from echossl.config.sources import PhantomSource
from echossl.data.sources.phantom import index_phantom
from echossl.phantom import generate


@pytest.fixture(scope="session")
def phantom_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight patients with two or three videos each, in AVI, MP4 and DICOM; three have severe stenosis."""
    out = tmp_path_factory.mktemp("sources") / "phantom"
    config = PhantomConfig(
        out=out,
        patients=8,
        seed=8,
        workers=1,
        videos_per_study=(2, 3),
        beats=(0.8, 1.0),
        frames_per_second=(20, 25),
        image_height=(64, 72),
    )
    generate(config)
    return out


@pytest.fixture(scope="session")
def phantom_videos(phantom_root: Path) -> pd.DataFrame:
    """Its manifest: path, patient_id, study_id, view, source, report and the measurements."""
    return index_phantom(phantom_root, PhantomSource())


@pytest.fixture(scope="session")
def built_mimic(phantom_videos: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small copy of MIMIC-IV-ECHO that stays as it is."""
    root = tmp_path_factory.mktemp("mimic")
    build_mimic_iv_echo(phantom_videos, root)
    return root


@pytest.fixture
def mimic_root(built_mimic: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may break."""
    return Path(shutil.copytree(built_mimic, tmp_path / "mimic-iv-echo"))
