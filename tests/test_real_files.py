"""Half of the path on real ultrasound files: what cannot be used is named, the rest is learned from."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from echossl.adapt.embed import save_embeddings
from echossl.config.data import DataConfig, PrepareConfig
from echossl.config.training import HardwareConfig, OptimiserConfig, PretrainConfig
from echossl.data.check import check
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.prepare import prepare
from echossl.data.sources import index_source
from echossl.data.store import ClipStore
from echossl.training.pretrain import pretrain

REAL = Path(__file__).resolve().parents[2] / "shared" / "data"
REFUSED = {
    "dcm4che_will-jxl_vividE95.dcm": "JPEG XL",
    "OBXXXX1A_rle_2frame.dcm": "does not say its frame rate",
}


def real_folder(name: str) -> Path:
    folder = REAL / name
    if not folder.is_dir():
        pytest.skip(f"the real files are not at {folder}")
    return folder


def learn(manifest: Path, folder: Path, *, batch_size: int) -> tuple[int, ...]:
    """Prepare, pre-train for three steps, embed; the shape of the embeddings."""
    store = folder / "store"
    prepare(PrepareConfig(manifest=manifest, out=store, size=32, workers=1))
    config = PretrainConfig(
        data=DataConfig(manifest=manifest, store=store),
        out=folder / "run",
        optimiser=OptimiserConfig(steps=3),
        batch_size=batch_size,
        hardware=HardwareConfig(device="cpu"),
    )
    encoder = pretrain(config)
    return save_embeddings(encoder, store, folder / "embeddings.npz", clips_per_video=2)


def test_dicom_files_of_many_makers(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.csv"
    table = index_source("folder", real_folder("dicom"), out=manifest)
    assert len(table) == 12
    checked = check(manifest, 1)
    problems = {
        Path(path).name: problem
        for path, problem in zip(checked["path"], checked["problem"], strict=True)
        if problem
    }
    assert problems.keys() == REFUSED.keys()
    assert all(reason in problems[name] for name, reason in REFUSED.items())
    assert learn(manifest, tmp_path, batch_size=8) == (10, 2, 128)
    rejected = pd.read_csv(tmp_path / "store" / "rejected.csv")
    assert {Path(path).name for path in rejected["path"]} == REFUSED.keys()


def test_lung_clips_in_containers_that_lie(tmp_path: Path) -> None:
    """Some ``.avi`` hold MP4, some MPEG-4 part 2; there are GIFs with alpha and odd sizes."""
    manifest = tmp_path / "manifest.csv"
    pattern = r"([^/]+?)(?:_vid\d+)?\.\w+$"
    index_source("folder", real_folder("pocus_lung"), out=manifest, patient_pattern=pattern)
    table = read_manifest(manifest)
    assert len(table) == 71
    assert table["patient_id"].nunique() < 71
    smallest = table.loc[table["path"].map(lambda path: Path(path).stat().st_size).nsmallest(10).index]
    write_manifest(smallest, manifest)
    assert learn(manifest, tmp_path, batch_size=6) == (10, 2, 128)
    embeddings = np.load(tmp_path / "embeddings.npz")["features"]
    assert np.isfinite(embeddings).all()
    store = ClipStore.open(tmp_path / "store")
    assert all(store.frames(row).max() > 60 for row in range(len(store)))
