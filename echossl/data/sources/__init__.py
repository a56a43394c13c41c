"""Layouts of data sets on disk: each source turns a folder into a manifest.

A new one is one file with ``index_NAME(root, settings)``, its settings class, and one line in ``SOURCES``.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from echossl.config import load_config
from echossl.config import sources as settings_of
from echossl.config.base import Config
from echossl.data.manifest import write_manifest
from echossl.data.splits import assign_splits
from echossl.errors import UserError

__all__ = ["SOURCES", "index_source"]

Index = Callable[[Path, Any], pd.DataFrame]


@dataclass(frozen=True)
class _Later:
    """The function ``index_NAME`` of a module that is imported at the first call.

    So the table costs nothing, and what a source needs (pydicom, say) is needed only where it is used.
    """

    name: str
    module: str = ""

    def __call__(self, root: Path, settings: Config) -> pd.DataFrame:
        module = import_module(f"echossl.data.sources.{self.module or self.name}")
        index: Index = getattr(module, f"index_{self.name}")
        return index(root, settings)


SOURCES: dict[str, tuple[type[Config], Index]] = {
    "folder": (settings_of.FolderSource, _Later("folder")),
    "csv": (settings_of.CsvSource, _Later("csv", module="csv_table")),
    "dicom": (settings_of.DicomSource, _Later("dicom")),
    "phantom": (settings_of.PhantomSource, _Later("phantom")),
    "echonet_dynamic": (settings_of.EchonetDynamicSource, _Later("echonet_dynamic")),
    "echonet_lvh": (settings_of.EchonetLvhSource, _Later("echonet_lvh")),
    "echonet_pediatric": (settings_of.EchonetPediatricSource, _Later("echonet_pediatric")),
    "tmed2": (settings_of.Tmed2Source, _Later("tmed2")),
    "camus": (settings_of.CamusSource, _Later("camus")),
    "mimic_iv_echo": (settings_of.MimicIvEchoSource, _Later("mimic_iv_echo")),
    "chestxray14": (settings_of.ChestXray14Source, _Later("chestxray14")),
    "chexpert": (settings_of.ChexpertSource, _Later("chexpert")),
    "mimic_cxr": (settings_of.MimicCxrSource, _Later("mimic_cxr")),
    "vindr_cxr": (settings_of.VindrCxrSource, _Later("vindr_cxr")),
    "padchest": (settings_of.PadChestSource, _Later("padchest")),
}


def index_source(
    source: str,
    root: Path,
    *,
    out: Path,
    options: Sequence[str] = (),
    split_shares: Mapping[str, float] | None = None,
    stratify: str | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Write the manifest of a data set.

    Args:
        source: name of the layout, a key of ``SOURCES``; case, hyphens and underscores do not matter.
        root: the folder (of ``csv`` the table).
        out: the manifest to write.
        options: ``key=value`` words, settings of the source.
        split_shares: split name to share of the patients; empty keeps the splits of the source, if any.
        stratify: column that is split evenly.
        seed: seed of the splits.

    Returns:
        The table that was written; ``attrs["note"]`` says what was assumed or left out, and whether
        splits are missing.

    Raises:
        ConfigError: if an option is wrong.
        UserError: if there is no such source, or it finds nothing.
    """
    name = _known(source)
    model, index = SOURCES[name]
    table = index(Path(root), _with_salt_beside(load_config(model, None, options), out))
    notes = [table.attrs.get("note", "")]
    if split_shares:
        table["split"] = assign_splits(table, split_shares, seed=seed, stratify=stratify)
    elif "split" not in table:
        notes.append("there are no splits: add them with --split train=0.8 --split test=0.2")
    table.attrs["note"] = "; ".join(note for note in notes if note)
    write_manifest(table, out)
    return table


def _with_salt_beside(settings: Config, manifest: Path) -> Config:
    """The settings, their secret beside the manifest unless the user said where: one folder, one id each."""
    if not isinstance(settings, settings_of.DicomSource) or "salt_file" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"salt_file": Path(manifest).absolute().parent / settings.salt_file})


def _known(source: str) -> str:
    """The key of ``SOURCES`` that is meant: ``EchoNet-Dynamic`` and ``TMED-2`` are names too."""
    keys = {_letters(name): name for name in SOURCES}
    if _letters(source) in keys:
        return keys[_letters(source)]
    guesses = difflib.get_close_matches(_letters(source), keys, n=1)
    meant = f", did you mean {keys[guesses[0]]}?" if guesses else ";"
    raise UserError(f"source {source!r}: no such layout{meant} there are {', '.join(SOURCES)}")


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
