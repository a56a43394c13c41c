import ast
from pathlib import Path

import pandas as pd
import pytest

from echossl.config.phantom import PhantomConfig
from echossl.config.sources import PhantomSource
from echossl.data.sources.phantom import LABELS, index_phantom
from echossl.errors import UserError
from echossl.phantom import generate
from echossl.phantom.anatomy import sample_patient
from echossl.phantom.truth import read_truth

ROOMS = ("data", "training", "adapt", "objectives", "encoders", "augment", "video", "evaluation")
PACKAGE = Path(__file__).resolve().parents[2] / "echossl"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("source") / "phantom"
    config = PhantomConfig(
        out=out,
        patients=3,
        workers=1,
        beats=(0.4, 0.5),
        frames_per_second=(25, 25),
        image_height=(64, 64),
    )
    generate(config)
    return out


def test_every_video_of_every_patient_is_listed_once(root):
    table = index_phantom(root, PhantomSource())
    on_disk = {str(path) for path in (root / "videos").rglob("*") if path.is_file()}
    assert set(table["path"]) == on_disk
    assert table["path"].is_unique
    assert all(Path(path).is_absolute() for path in table["path"])


def test_columns_and_constants(root):
    table = index_phantom(root, PhantomSource())
    expected = ["path", "patient_id", "study_id", "view", "source", "report", *LABELS]
    assert table.columns.tolist() == expected
    assert (table["view"] == "plax").all()
    assert (table["source"] == "phantom").all()
    assert table.groupby("patient_id")["study_id"].nunique().eq(1).all()


def test_labels_are_the_measurements_of_the_patient(root):
    table = index_phantom(root, PhantomSource())
    for _, row in table.iterrows():
        measured = sample_patient(0, int(row["patient_id"][1:])).measurements
        assert row["as_grade"] == measured.graded.grade
        assert row["severe_as"] == int(measured.graded.severe)
        assert row["peak_velocity_m_per_s"] == measured.peak_velocity_m_per_s
        assert row["mean_gradient_mmhg"] == measured.mean_gradient_mmhg
        assert row["valve_area_cm2"] == measured.valve_area_cm2


def test_none_is_a_grade_and_not_a_missing_value(root, tmp_path):
    table = index_phantom(root, PhantomSource())
    assert set(table["as_grade"]) <= {"none", "mild", "moderate", "severe"}


def test_no_truth_is_in_the_table(root):
    table = index_phantom(root, PhantomSource())
    latents = read_truth(root, Path(table["path"][0])).latents
    assert not set(latents) & set(table.columns)
    assert not table["path"].str.contains("truth").any()
    text = table.to_csv()
    assert repr(latents["severity"])[:8] not in text
    assert repr(latents["opening"])[:8] not in text


def test_a_folder_that_is_no_phantom_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no phantom\.json"):
        index_phantom(tmp_path, PhantomSource())


def test_lost_videos_are_named(root, tmp_path):
    (tmp_path / "videos" / "P00001").mkdir(parents=True)
    (tmp_path / "phantom.json").write_text("{}")
    pd.read_csv(root / "patients.csv").to_csv(tmp_path / "patients.csv", index=False)
    with pytest.raises(UserError, match=r"no videos of P00001 \(3 patients"):
        index_phantom(tmp_path, PhantomSource())


def test_nothing_that_learns_imports_the_truth():
    sources = [path for room in ROOMS for path in (PACKAGE / room).rglob("*.py")]
    sources += [path for room in ROOMS if (path := PACKAGE / f"{room}.py").is_file()]
    assert len(sources) > 10
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            assert not any(name.startswith("echossl.phantom") for name in names), source
