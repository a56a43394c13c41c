"""Real ultrasound files: each is read exactly or refused in words, and the path can be walked on them."""

import functools
import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from echossl.adapt.embed import save_embeddings
from echossl.config.data import CheckConfig, DataConfig, PrepareConfig
from echossl.config.training import HardwareConfig, OptimiserConfig, PretrainConfig
from echossl.data.check import check
from echossl.data.manifest import read_manifest, write_manifest
from echossl.data.prepare import prepare
from echossl.data.sources import index_source
from echossl.data.store import ClipStore
from echossl.errors import DecodeError
from echossl.training.pretrain import pretrain
from echossl.video import open_video

REAL = Path(__file__).resolve().parents[2] / "shared" / "data"
JPEG_XL = "dcm4che_will-jxl_vividE95.dcm"
HAS_JPEG_XL = importlib.util.find_spec("imagecodecs") is not None
# files of the video room's folders that are tables, texts and arrays
NO_VIDEOS = {
    "MANIFEST.csv": "is a text file, not a video",
    "README.md": "is a text file, not a video",
    "pocus_lung/dataset_metadata.csv": "is a text file, not a video",
    "camus_a4c/camus_a4c_ef.csv": "is a text file, not a video",
    "camus_a4c/camus_a4c_index.csv": "is a text file, not a video",
    "camus_a4c/camus_a4c_112.npz": r"is a zip archive or a file packed as one \(npz",
}
# those that cannot be cut into clips
REFUSED = {"OBXXXX1A_rle_2frame.dcm": "does not say its frame rate"}
if not HAS_JPEG_XL:
    REFUSED[JPEG_XL] = "JPEG XL"


def real_names(*patterns: str) -> list[str]:
    """Files and folders below the folder of real files."""
    names = [path.relative_to(REAL).as_posix() for pattern in patterns for path in sorted(REAL.glob(pattern))]
    return [name for name in names if name not in NO_VIDEOS]


def known(name: str) -> pd.Series:
    """What other programs found in a file."""
    return known_table().loc[name]


@functools.cache
def known_table() -> pd.DataFrame:
    return pd.read_csv(REAL / "MANIFEST.csv", index_col="file")


def real_folder(name: str) -> Path:
    folder = REAL / name
    if not folder.is_dir():
        pytest.skip(f"the real files are not at {folder}")
    return folder


@pytest.mark.parametrize("name", real_names("dicom/*", "pocus_lung/*/*", "tmed2/*", "frame_folders/*/*"))
def test_every_file_is_read_as_other_programs_read_it(name: str) -> None:
    if name.endswith(JPEG_XL) and not HAS_JPEG_XL:
        with pytest.raises(DecodeError, match="JPEG XL"):
            open_video(REAL / name)
        return
    expected = known(name)
    with open_video(REAL / name) as reader:
        assert (reader.num_frames, reader.height, reader.width) == (expected.n_frames, expected.h, expected.w)
        rate = expected.fps if np.isfinite(expected.fps) else None
        assert reader.fps == (rate and pytest.approx(rate, rel=1e-3))
        assert len(reader.frame_seconds) == reader.num_frames
        assert reader.frame_seconds[0] == 0
        frames = reader.read([reader.num_frames - 1, 0])
    assert frames.shape == (2, expected.h, expected.w, reader.channels)
    assert all(frame.max() > 50 for frame in frames)


@pytest.mark.parametrize("name", real_names("frame_folders/*"))
def test_trap_10_folders_of_frames_in_natural_order(name: str) -> None:
    files = sorted((REAL / name).iterdir(), key=lambda file: int(file.stem.removeprefix("image_")))
    with open_video(REAL / name) as reader:
        assert (reader.num_frames, reader.fps, reader.channels) == (len(files), None, 1)
        for frame, file in zip(reader.read(range(len(files))), files, strict=True):
            np.testing.assert_array_equal(frame[..., 0], np.asarray(Image.open(file)))


@pytest.mark.parametrize("name", real_names("camus_a4c/nii/*/*"))
def test_camus_stills_and_masks(name: str) -> None:
    expected = known(name)
    with open_video(REAL / name) as reader:
        # the table has the axes of the array, of which the first is across
        assert (reader.num_frames, reader.width, reader.height) == (1, expected.h, expected.w)
        assert (reader.fps, reader.channels, reader.pixel_aspect) == (None, 1, 1.0)
        assert reader.cm_per_pixel == pytest.approx(0.0308)
        frame = reader.read([0])[0, ..., 0]
    if name.endswith("_gt.nii.gz"):
        assert set(np.unique(frame)) == {0, 1, 2, 3}
    else:
        assert frame.max() > 200


def squared(picture: np.ndarray, size: int) -> np.ndarray:
    """A picture (height, width) in the middle of a black square, made smaller."""
    side = max(picture.shape)
    square = np.zeros((side, side), np.uint8)
    top, left = (side - picture.shape[0]) // 2, (side - picture.shape[1]) // 2
    square[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return np.asarray(Image.fromarray(square).resize((size, size), Image.Resampling.BILINEAR))


def test_camus_pictures_are_upright() -> None:
    """Compared with the same patients' pictures as others turned them: the probe above, no mirror."""
    with np.load(real_folder("camus_a4c") / "camus_a4c_112.npz") as arrays:
        small = {name: arrays[name] for name in ("images", "patient", "phase")}
    for path in sorted((REAL / "camus_a4c" / "nii").glob("*/*_E[DS].nii.gz")):
        patient, _, phase = path.name.removesuffix(".nii.gz").split("_")
        (reference,) = small["images"][(small["patient"] == patient) & (small["phase"] == phase)]
        with open_video(path) as reader:
            ours = squared(reader.read_grey([0])[0], 112)
        assert np.corrcoef(ours.ravel(), reference.ravel())[0, 1] > 0.99
        assert np.corrcoef(ours[:, ::-1].ravel(), reference.ravel())[0, 1] < 0.9


@pytest.mark.parametrize("name", NO_VIDEOS)
def test_what_is_no_video_is_refused_in_words(name: str) -> None:
    if not (REAL / name).is_file():
        pytest.skip(f"the real files are not at {REAL}")
    with pytest.raises(DecodeError, match=NO_VIDEOS[name]) as caught:
        open_video(REAL / name)
    assert "\n" not in str(caught.value)


def test_no_real_file_is_left_out() -> None:
    tried = real_names("dicom/*", "pocus_lung/*/*", "tmed2/*", "frame_folders/*/*", "camus_a4c/nii/*/*")
    there = {path.relative_to(real_folder("")).as_posix() for path in REAL.rglob("*") if path.is_file()}
    assert there == set(tried) | set(NO_VIDEOS)


def learn(manifest: Path, folder: Path, *, batch_size: int) -> tuple[int, int]:
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
    checked = check(CheckConfig(manifest=manifest, workers=1))
    problems = {
        Path(path).name: problem
        for path, problem in zip(checked["path"], checked["problem"], strict=True)
        if problem
    }
    assert problems.keys() == REFUSED.keys()
    assert all(reason in problems[name] for name, reason in REFUSED.items())
    assert learn(manifest, tmp_path, batch_size=8) == (2 * (12 - len(REFUSED)), 128)
    rejected = pd.read_csv(tmp_path / "store" / "rejected.csv")
    assert {Path(path).name for path in rejected["path"]} == REFUSED.keys()


def test_lung_clips_in_containers_that_lie(tmp_path: Path) -> None:
    """Some ``.avi`` hold MP4, some MPEG-4 part 2; there are GIFs with alpha and odd sizes."""
    manifest = tmp_path / "manifest.csv"
    pattern = r"([^/]+?)(?:_vid\d+)?\.\w+$"
    index_source("folder", real_folder("pocus_lung"), out=manifest, options=[f"patient_pattern={pattern}"])
    table = read_manifest(manifest)
    assert len(table) == 71
    assert table["patient_id"].nunique() < 71
    smallest = table.loc[table["path"].map(lambda path: Path(path).stat().st_size).nsmallest(10).index]
    write_manifest(smallest, manifest)
    assert learn(manifest, tmp_path, batch_size=6) == (20, 128)
    embeddings = np.load(tmp_path / "embeddings.npz")["features"]
    assert np.isfinite(embeddings).all()
    store = ClipStore.open(tmp_path / "store")
    assert all(store.frames(row).max() > 60 for row in range(len(store)))
