import subprocess
import sys
import typing
from pathlib import Path

import pandas as pd
import pytest
from layouts import LAYOUTS

from echossl.config.data import CheckConfig, DataConfig, PrepareConfig
from echossl.config.sources import Source
from echossl.config.training import HardwareConfig, OptimiserConfig, PretrainConfig
from echossl.data.check import check
from echossl.data.labels import class_map_of, encode_labels
from echossl.data.manifest import read_manifest
from echossl.data.prepare import prepare
from echossl.data.sources import SOURCES, index_source
from echossl.data.store import ClipStore
from echossl.errors import ConfigError, UserError
from echossl.training.pretrain import pretrain

# stills, volumes and folders of pictures are what training has not met elsewhere
LEARNED_FROM = ("tmed2", "camus")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SHARES = {"train": 0.75, "test": 0.25}


def test_every_settings_class_has_its_source():
    classes = {model.model_fields["name"].default: model for model in typing.get_args(Source)}
    assert {name: model for name, (model, _) in SOURCES.items()} == classes
    assert {layout.source.lower().replace("-", "_") for layout in LAYOUTS.values()} - SOURCES.keys() == {
        "tmed_2"
    }


def test_the_table_of_sources_costs_no_imports():
    words = "import sys, echossl.data.sources; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "echossl.data.sources" in loaded
    assert not {"pydicom", "nibabel", "torch"} & set(loaded)
    assert not [name for name in loaded if name.startswith("echossl.data.sources.")]


@pytest.mark.parametrize("name", ["phantom", "Phantom", "PHAN-TOM", "phan_tom"])
def test_names_as_people_write_them(phantom_root, tmp_path, name):
    table = index_source(name, phantom_root, out=tmp_path / "manifest.csv")
    assert (table["source"] == "phantom").all()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("echonet-dynamik", "did you mean echonet_dynamic[?] there are folder, csv"),
        ("tmed3", "did you mean tmed2[?]"),
        ("zebra", "source 'zebra': no such layout; there are folder, csv, dicom"),
    ],
)
def test_names_that_are_none(tmp_path, name, words):
    with pytest.raises(UserError, match=words):
        index_source(name, tmp_path, out=tmp_path / "manifest.csv")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("frame_folder=true", r"frame_folder: no such option, did you mean frame_folders\?"),
        ("fps=-1", "fps: found -1"),
        ("fps", "'fps' is not key=value"),
        ("name=csv", "name: found 'csv'"),
    ],
)
def test_options_that_are_wrong(tmp_path, option, words):
    with pytest.raises(ConfigError, match=words) as caught:
        index_source("folder", tmp_path, out=tmp_path / "manifest.csv", options=[option])
    assert caught.value.exit_code == 2


def test_the_note_says_when_there_are_no_splits(phantom_root, tmp_path):
    out = tmp_path / "manifest.csv"
    without = index_source("phantom", phantom_root, out=out)
    assert without.attrs["note"] == "there are no splits: add them with --split train=0.8 --split test=0.2"
    shared = index_source("phantom", phantom_root, out=out, split_shares=SHARES, stratify="severe_as", seed=1)
    assert not shared.attrs["note"]
    again = index_source("phantom", phantom_root, out=out, split_shares=SHARES, stratify="severe_as", seed=1)
    assert again["split"].equals(shared["split"])
    table = read_manifest(out)
    assert table.groupby("split")["patient_id"].nunique().to_dict() == {"test": 2, "train": 6}


def test_shares_replace_the_splits_of_a_source(phantom_videos, tmp_path):
    layout = LAYOUTS["camus"]
    root = layout.build(phantom_videos, tmp_path / "camus")
    published = index_source("camus", root, out=tmp_path / "manifest.csv")
    assert set(published["split"]) == {"train", "val", "test"}
    assert "--split" not in published.attrs["note"]
    own = index_source("camus", root, out=tmp_path / "manifest.csv", split_shares={"one": 0.5, "two": 0.5})
    assert own.groupby("split")["patient_id"].nunique().to_dict() == {"one": 4, "two": 4}


@pytest.mark.parametrize("name", LAYOUTS)
def test_index_check_prepare(phantom_videos, tmp_path, name):
    """From a small copy of every layout to a clip store, with labels that training can read."""
    layout = LAYOUTS[name]
    built = tmp_path / "data"
    built.mkdir()
    root = layout.build(phantom_videos, built) or built
    out = tmp_path / "manifest.csv"
    shares = None if layout.brings_splits else SHARES
    indexed = index_source(layout.source, root, out=out, options=layout.words(tmp_path), split_shares=shares)
    table = read_manifest(out)
    assert len(table) == len(indexed)
    assert table["patient_id"].nunique() == 8
    assert "train" in set(table["split"])

    checked = check(CheckConfig(manifest=out, workers=1))
    assert not checked.loc[checked["problem"] != "", ["path", "problem"]].to_numpy().tolist()

    config = PrepareConfig(manifest=out, out=tmp_path / "store", size=32, workers=1)
    summary = prepare(config)
    assert (summary.stored, summary.rejected) == (len(table), 0)
    store = ClipStore.open(config.out)
    shown = [store.frames(row).max() for row in range(len(store))]
    assert min(shown) > 40
    if layout.label:
        read_label(table, layout.label)
    if name in LEARNED_FROM:
        learn(tmp_path)


def read_label(table: pd.DataFrame, column: str) -> None:
    kind = class_map_of(column).kind if class_map_of(column) else "binary"
    codes = encode_labels(table, column, kind=kind)
    assert (codes >= 0).sum() >= 6
    assert len(set(codes[codes >= 0])) >= 2


def learn(folder: Path) -> None:
    config = PretrainConfig(
        data=DataConfig(manifest=folder / "manifest.csv", store=folder / "store"),
        out=folder / "run",
        optimiser=OptimiserConfig(steps=2),
        batch_size=4,
        hardware=HardwareConfig(device="cpu"),
    )
    assert pretrain(config).is_file()


@pytest.mark.parametrize(
    ("source", "place", "options", "videos", "frames"),
    [
        ("camus", "camus_a4c/nii", [], 24, 24),
        ("folder", "frame_folders", ["frame_folders=true", "fps=30"], 22, None),
        ("folder", "tmed2", [], 1, 1),
    ],
)
def test_real_files(tmp_path, source, place, options, videos, frames):
    if not (SHARED / place).is_dir():
        pytest.skip(f"the real files are not at {SHARED / place}")
    out = tmp_path / "manifest.csv"
    index_source(source, SHARED / place, out=out, options=options)
    checked = check(CheckConfig(manifest=out, workers=1))
    assert (len(checked), set(checked["problem"])) == (videos, {""})
    summary = prepare(PrepareConfig(manifest=out, out=tmp_path / "store", size=32, workers=1))
    pictures = sum(path.suffix == ".jpg" for path in (SHARED / place).rglob("*"))
    assert (summary.stored, summary.frames) == (videos, frames or pictures)
