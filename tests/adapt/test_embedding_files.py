import json
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from echossl.adapt.embed import embed, save_embeddings
from echossl.adapt.embedding_files import write_embeddings
from echossl.config.training import HardwareConfig
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.encoders.files import save_encoder
from echossl.errors import UserError
from echossl.training.hardware import Hardware

HARDWARE = Hardware.resolve(HardwareConfig(device="cpu", precision="fp32"))
COLUMNS = ["patient_id", "study_id", "path", "start_seconds", "end_seconds", "features"]


@pytest.fixture
def encoder(toy, tmp_path):
    config = toy.config(toy.store.path)
    torch.manual_seed(0)
    metadata = EncoderMetadata(
        architecture=config.encoder, clip=config.clip, size=toy.store.size, provenance={"run": "first"}
    )
    network = build_encoder(metadata).eval()
    save_encoder(network, tmp_path / "encoder.safetensors")
    return network


def read_npz(path):
    """A table and the metadata, as a user would read them."""
    with np.load(path, allow_pickle=False) as stored:
        metadata = json.loads(str(stored["metadata"]))
        return pd.DataFrame({name: list(stored[name]) for name in COLUMNS}), metadata


def read_parquet(path):
    parquet = pytest.importorskip("pyarrow.parquet")
    return pd.read_parquet(path), json.loads(parquet.read_schema(path).metadata[b"echossl"])


READERS = {".npz": read_npz, ".parquet": read_parquet}


def check_origin(table: pd.DataFrame, toy, counts: list[int], clip_seconds: float) -> None:
    """Names, times and order of the rows against the store's own table."""
    assert list(table.columns) == COLUMNS
    for name in ("path", "patient_id", "study_id"):
        assert table[name].tolist() == toy.store.table[name].repeat(counts).tolist()
    lasts = toy.store.durations.repeat(counts) - clip_seconds
    assert (table["start_seconds"] >= 0).all()
    assert (table["start_seconds"] <= np.maximum(lasts, 0) + 1e-9).all()
    assert np.allclose(table["end_seconds"] - table["start_seconds"], clip_seconds)


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
@pytest.mark.parametrize("policy", ["uniform", "centre", "all", "random"])
def test_vectors_of_a_whole_store_are_written_with_their_names(
    toy, encoder, tmp_path, policy: str, suffix: str
) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    out = (tmp_path / "deeper" / "embeddings").with_suffix(suffix)
    shape = save_embeddings(
        tmp_path / "encoder.safetensors", toy.store.path, out, clips_per_video=2, policy=policy, seed=3
    )
    rows = range(len(toy.store))
    expected = embed(encoder, toy.store, rows, clips_per_video=2, hardware=HARDWARE, policy=policy, seed=3)
    counts = [len(own) for own in expected]
    table, metadata = READERS[suffix](out)
    assert shape == (sum(counts), encoder.dim)
    features = np.stack(table["features"])
    assert features.dtype == np.float32
    assert np.allclose(features, np.concatenate(expected), atol=3e-2)  # bf16 where there is hardware for it
    check_origin(table, toy, counts, encoder.metadata.clip.clip_seconds)
    assert EncoderMetadata.model_validate(metadata["encoder"]) == encoder.metadata
    assert metadata["clips"] == {"policy": policy, "clips_per_video": 2, "seed": 3}
    assert metadata["store"] == toy.store.path.name
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_parquet_has_one_column_of_vectors_of_fixed_length(tmp_path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    columns = {"patient_id": np.array(["007", "b", "b", "\u00e9"]), "start_seconds": np.arange(4.0)}
    write_embeddings(tmp_path / "e.parquet", features, columns, {"note": "x"})
    table = parquet.read_table(tmp_path / "e.parquet")
    assert table.schema.field("features").type == arrow.list_(arrow.float32(), 3)
    assert table.schema.field("patient_id").type == arrow.string()
    assert table.schema.field("start_seconds").type == arrow.float64()
    assert table["patient_id"].to_pylist() == ["007", "b", "b", "\u00e9"]
    assert np.array_equal(np.stack(table["features"].to_numpy()), features)


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_no_clip_is_a_table_without_rows(tmp_path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = (tmp_path / "e").with_suffix(suffix)
    texts, times = np.empty(0, dtype=np.str_), np.empty(0)
    columns = dict.fromkeys(COLUMNS[:3], texts) | dict.fromkeys(COLUMNS[3:5], times)
    write_embeddings(path, np.empty((0, 5), dtype=np.float32), columns, {})
    table, metadata = READERS[suffix](path)
    assert table.shape == (0, 6)
    assert metadata == {}


@pytest.mark.parametrize("name", ["e.csv", "e", "e.npz.gz", "e.PARQUET"])
def test_other_suffixes_are_refused_before_anything_is_read(tmp_path, name: str) -> None:
    with pytest.raises(UserError, match=r"found suffix '.*', expected \.parquet or \.npz"):
        save_embeddings(tmp_path / "absent", tmp_path / "absent", tmp_path / name, clips_per_video=2)
    assert list(tmp_path.iterdir()) == []


def test_parquet_without_its_package_is_refused_before_anything_is_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(
        UserError, match=r"e\.parquet: writing Parquet needs pyarrow; pip install 'echossl\[parq"
    ):
        save_embeddings(tmp_path / "absent", tmp_path / "absent", tmp_path / "e.parquet", clips_per_video=2)


def test_a_file_that_was_there_stays_if_writing_fails(tmp_path) -> None:
    path = tmp_path / "e.npz"
    path.write_bytes(b"before")
    with pytest.raises(TypeError):
        write_embeddings(path, np.zeros((1, 2), dtype=np.float32), {}, {"not": object()})
    pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match="length"):
        write_embeddings(tmp_path / "e.parquet", np.zeros((1, 2), np.float32), {"path": np.zeros(3)}, {})
    assert path.read_bytes() == b"before"
    assert [found.name for found in tmp_path.iterdir()] == ["e.npz"]
