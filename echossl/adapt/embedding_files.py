"""Files of clips' vectors: Parquet for pandas, polars and DuckDB, or NumPy's npz."""

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from echossl.errors import UserError
from echossl.files import atomic_path

FEATURES = "features"
METADATA_KEY = "echossl"
SUFFIXES = (".parquet", ".npz")


def require_writable(out: Path) -> None:
    """Find out before any work is done whether vectors can be written to this file.

    Raises:
        UserError: if its suffix is neither ``.parquet`` nor ``.npz``, or Parquet needs a package that is
            missing.
    """
    if out.suffix not in SUFFIXES:
        raise UserError(f"{out}: found suffix {out.suffix!r}, expected {' or '.join(SUFFIXES)}")
    if out.suffix == ".parquet":
        try:
            import_module("pyarrow.parquet")
        except ImportError as error:
            raise UserError(
                f"{out}: writing Parquet needs pyarrow; pip install 'echossl[parquet]', or take .npz"
            ) from error


def write_embeddings(
    out: Path,
    features: npt.NDArray[np.float32],
    columns: Mapping[str, npt.NDArray[Any]],
    metadata: Mapping[str, Any],
) -> None:
    """Write vectors and what belongs to each; the file is whole or absent.

    Parquet: one row per clip, ``features`` is a column of lists of fixed length (``numpy.stack`` makes a
    matrix of it), ``metadata`` is JSON in the schema's metadata under ``echossl``. npz: one array per column,
    ``metadata`` is JSON text in the entry ``metadata``; nothing is pickled.

    Args:
        out: the ``.parquet`` or ``.npz`` file.
        features: (clips, dim).
        columns: by name, (clips,) text or numbers.
        metadata: what can be written as JSON.
    """
    text = json.dumps(metadata)
    with atomic_path(out) as temporary:
        if out.suffix == ".parquet":
            _write_parquet(temporary, features, columns, text)
        else:
            entries: dict[str, Any] = {**columns, FEATURES: features, "metadata": np.array(text)}
            with temporary.open("wb") as file:
                np.savez(file, **entries)


def _write_parquet(
    path: Path, features: npt.NDArray[np.float32], columns: Mapping[str, npt.NDArray[Any]], metadata: str
) -> None:
    arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    vectors = arrow.FixedSizeListArray.from_arrays(arrow.array(features.ravel()), features.shape[1])
    table = arrow.table({name: arrow.array(values) for name, values in columns.items()} | {FEATURES: vectors})
    parquet.write_table(table.replace_schema_metadata({METADATA_KEY: metadata}), path, compression="zstd")
