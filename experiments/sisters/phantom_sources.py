"""Hospitals of the phantom as sources of their own: a folder each with pictures, manifest and clip store.

    .venv/bin/python experiments/sisters/phantom_sources.py data/sisters --patients 600 --size 48

The hospitals differ in grey curve, speckle, opening of the fan, burnt-in words, and in the grades that their
patients have; no patient is in two of them. What is there already is left as it is.
"""

import argparse
import sys
from pathlib import Path

from echossl.config.data import PrepareConfig
from echossl.config.phantom import PhantomConfig
from echossl.config.sources import PhantomSource
from echossl.data.manifest import write_manifest
from echossl.data.prepare import prepare
from echossl.data.sources.phantom import index_phantom
from echossl.data.splits import assign_splits
from echossl.errors import EchosslError
from echossl.phantom import generate

HOSPITALS = ("harbour", "hill", "lake")
FIRST_SEED, TEST_SHARE = 4100, 0.25
# a still picture shows less of a stenosis than a beat does
EFFECT = 2.0


def make_source(folder: Path, number: int, *, patients: int, size: int, workers: int) -> str:
    """One hospital: ``phantom/``, ``manifest.csv`` and ``store/`` in a folder that has its name."""
    phantom = PhantomConfig(
        out=folder / "phantom",
        patients=patients,
        seed=FIRST_SEED + number,
        effect=EFFECT,
        sources=(HOSPITALS[number],),
        containers=("png",),
        videos_per_study=(1, 2),
        image_height=(96, 112),
        workers=workers,
    )
    generate(phantom)
    manifest = folder / "manifest.csv"
    if not manifest.exists():
        table = index_phantom(phantom.out, PhantomSource())
        shares = {"train": 1 - TEST_SHARE, "test": TEST_SHARE}
        split = assign_splits(table, shares, seed=phantom.seed, stratify="as_grade")
        write_manifest(table.assign(split=split), manifest)
    prepare(PrepareConfig(manifest=manifest, out=folder / "store", size=size, workers=workers))
    return f"{folder}: {patients} patients, {size} x {size} pixels"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, required=True, help="of each hospital")
    parser.add_argument("--size", type=int, required=True, help="height and width of a stored picture")
    parser.add_argument("--workers", type=int, default=0, help="processes; 0 takes one per core")
    given = parser.parse_args()
    try:
        for number, name in enumerate(HOSPITALS):
            sizes = {"patients": given.patients, "size": given.size, "workers": given.workers}
            print(make_source(given.folder / name, number, **sizes))
    except EchosslError as error:
        sys.exit(f"phantom_sources.py: {error}")


if __name__ == "__main__":
    main()
