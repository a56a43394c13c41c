"""Data and finished runs that the tests of the study share."""

import shutil
from pathlib import Path

import pytest
from small_sources import make_sources
from small_study import make_data, write_study

from echossl.config.data import DataConfig
from echossl.config.study import StudyConfig
from echossl.study import run_study


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> DataConfig:
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """Three hospitals with classes of their own."""
    return make_sources(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="session")
def finished(data: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that has been run; to be copied before it is changed."""
    folder = tmp_path_factory.mktemp("finished")
    _, config = write_study(data, folder)
    assert run_study(config) == []
    return folder


@pytest.fixture
def study(data: DataConfig, finished: Path, tmp_path: Path) -> StudyConfig:
    """A finished study of one's own."""
    _, config = write_study(data, tmp_path)
    shutil.copytree(finished / "out", config.out)
    for record in config.out.glob("*/**/run.json"):
        record.write_text(record.read_text().replace(str(finished), str(tmp_path)))
    return config
