"""The phantom's causes reach the probe's scores, and nothing that learns."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from echossl.config.data import DataConfig, PrepareConfig
from echossl.config.evaluation import BootstrapConfig
from echossl.config.phantom import PhantomConfig
from echossl.config.probe import ProbeConfig
from echossl.data.manifest import read_manifest
from echossl.data.prepare import prepare
from echossl.data.sources import index_source
from echossl.errors import UserError
from echossl.phantom import generate
from echossl.phantom.truth import read_truth
from echossl.study.probe import run_probe
from echossl.study.truth import read_latents

PIXELS = {"name": "pixels", "title": "Pixels", "start": "pixels"}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> DataConfig:
    folder = tmp_path_factory.mktemp("phantom")
    small = {"videos_per_study": (2, 2), "beats": (1.2, 1.3), "image_height": (48, 56)}
    phantom = PhantomConfig(out=folder / "phantom", patients=14, seed=3, workers=1, **small)
    generate(phantom)
    index_source(
        "phantom",
        folder / "phantom",
        out=folder / "m.csv",
        split_shares={"train": 0.6, "test": 0.4},
        stratify=None,
        seed=0,
    )
    prepare(PrepareConfig(manifest=folder / "m.csv", out=folder / "store", size=32, workers=1))
    return DataConfig(manifest=folder / "m.csv", store=folder / "store")


def test_causes_of_studies_and_of_videos_are_scored(data: DataConfig, tmp_path: Path) -> None:
    phantom = data.manifest.parent / "phantom"
    latents = ("severity", "nuisance_gain")
    config = ProbeConfig(
        data=data,
        out=tmp_path / "run",
        arms=[PIXELS],
        columns=(),
        truth=phantom,
        latents=latents,
        bootstrap=BootstrapConfig(resamples=100),
    )
    text = run_probe(config).read_text()
    assert "| R2 | severity | nuisance_gain |" in text
    videos = read_manifest(data.manifest).query("split == 'test'")
    by_study = pd.read_csv(tmp_path / "run/predictions/r2_severity/pixels-seed0.csv")
    by_video = pd.read_csv(tmp_path / "run/predictions/r2_nuisance_gain/pixels-seed0.csv")
    assert len(by_study) == videos["study_id"].nunique()
    assert sorted(by_video["unit"]) == sorted(videos["path"])
    for _, row in by_video.iterrows():
        assert row["truth"] == pytest.approx(read_truth(phantom, Path(row["unit"])).latents["nuisance_gain"])


def test_latents_are_those_of_the_video_in_the_order_asked_for(data: DataConfig) -> None:
    phantom = data.manifest.parent / "phantom"
    paths = read_manifest(data.manifest)["path"].tolist()[:3]
    table = read_latents(phantom, ("opening", "severity"), paths)
    assert list(table.columns) == ["opening", "severity"]
    assert table.index.tolist() == paths
    expected = [read_truth(phantom, Path(path)).latents["severity"] for path in paths]
    assert np.array_equal(table["severity"], expected)


def test_unknown_causes_and_strange_videos_are_named(data: DataConfig) -> None:
    phantom = data.manifest.parent / "phantom"
    read = partial(read_latents, phantom)
    path = read_manifest(data.manifest)["path"].iloc[0]
    with pytest.raises(UserError, match="latents: 'severe' is no cause of a phantom; there are severity"):
        read(("severe",), [path])
    with pytest.raises(UserError, match=r"holds no truth for other\.avi"):
        read(("severity",), ["/somewhere/other.avi"])
