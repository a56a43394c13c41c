"""Small still pictures of two views with reports, and an encoder that has learned from them a little."""

from pathlib import Path

import pandas as pd
import pytest
from aligned_samples import PATIENTS, SIZE, pretraining

from echossl.config.data import PrepareConfig
from echossl.config.phantom import FindingSettings, PhantomConfig, ReportSettings
from echossl.config.sources import PhantomSource
from echossl.data.manifest import write_manifest
from echossl.data.prepare import prepare
from echossl.data.sources.phantom import index_phantom
from echossl.phantom import generate
from echossl.training.pretrain import pretrain


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Manifest and store of 24 studies; some lack a view, one its report, one is not assessed."""
    folder = tmp_path_factory.mktemp("pictures")
    generate(
        PhantomConfig(
            out=folder / "phantom",
            patients=PATIENTS,
            views=("plax", "a4c"),
            videos_per_study=(1, 3),
            containers=("png",),
            image_height=(64, 72),
            findings=FindingSettings(),
            reports=ReportSettings(),
            workers=1,
        )
    )
    table = index_phantom(folder / "phantom", PhantomSource())
    number = pd.factorize(table["patient_id"])[0]
    table["split"] = ["train" if patient < 12 else "test" for patient in number]
    table.loc[number == 3, "report"] = ""
    # two studies of one wording, for which each other's pictures are right too
    table.loc[number == 14, "report"] = table.loc[number == 15, "report"].iloc[0].upper()
    write_manifest(table, folder / "manifest.csv")
    config = PrepareConfig(
        manifest=folder / "manifest.csv", out=folder / "store", size=SIZE, sector="keep", workers=1
    )
    prepare(config)
    return {"manifest": config.manifest, "store": config.out}


@pytest.fixture(scope="session")
def run(pictures: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pre-training of a few steps."""
    out = tmp_path_factory.mktemp("runs") / "tripartite"
    pretrain(pretraining(pictures, out))
    return out
