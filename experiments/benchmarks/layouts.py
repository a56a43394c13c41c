"""Walk every layout from its files to a pre-trained encoder through the command line; run by hand.

    python experiments/benchmarks/layouts.py --patients 300 --out /tmp/layouts [--only NAME]

One phantom is made, small copies of every data set are built from its videos, and each goes through ``echossl
index``, ``check``, ``prepare`` and two steps of ``pretrain``. Prints a table; exit code 1 if anything fails.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

# the small copies are those of the tests; first, since this file is called like the one it takes
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "sources"))

import pandas as pd
from layouts import LAYOUTS, Layout

from echossl.config.phantom import PhantomConfig
from echossl.config.sources import PhantomSource
from echossl.data.sources.phantom import index_phantom
from echossl.phantom import generate

SHARES = ("--split", "train=0.8", "--split", "test=0.2")
PRETRAIN = ("optimiser.steps=2", "batch_size=8", "hardware.device=cpu")
COUNTED = ("videos", "patients", "rejected")
COLUMNS = [
    "layout",
    "build",
    "index",
    "check",
    "prepare",
    "pretrain",
    "videos",
    "patients",
    "rejected",
    "failed",
]


def main() -> int:
    """Exit code 0 if every layout went through."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=300)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=sorted(LAYOUTS), action="append")
    words = parser.parse_args()
    videos = make_phantom(words.out / "phantom", words.patients)
    rows = [walk(name, LAYOUTS[name], videos, words.out / name) for name in words.only or LAYOUTS]
    table = pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COUNTED, "Int64"))
    table.to_csv(words.out / "layouts.csv", index=False)
    say(table.to_string(index=False))
    return int((table["failed"] != "").any())


def make_phantom(out: Path, patients: int) -> pd.DataFrame:
    """The manifest of a phantom of small pictures; one that is there already is used again."""
    small = {"beats": (1.0, 1.2), "frames_per_second": (20, 25), "image_height": (64, 72)}
    generate(PhantomConfig(out=out, patients=patients, seed=8, videos_per_study=(2, 3), **small))
    return index_phantom(out, PhantomSource())


def walk(name: str, layout: Layout, videos: pd.DataFrame, folder: Path) -> dict[str, object]:
    """Build a layout and send it through the commands, up to the first that fails."""
    data, manifest, store = folder / "data", folder / "manifest.csv", folder / "store"
    data.mkdir(parents=True)
    row: dict[str, object] = {"layout": name, "failed": ""}
    start = time.perf_counter()
    root = layout.build(videos, data) or data
    row["build"] = round(time.perf_counter() - start, 1)
    shares = () if layout.brings_splits else SHARES
    commands = {
        "index": ("index", layout.source, str(root), "-o", str(manifest), *layout.words(folder), *shares),
        "check": ("check", str(manifest), "-o", str(folder / "check.csv")),
        "prepare": ("prepare", f"manifest={manifest}", f"out={store}", "size=32"),
        "pretrain": (
            "pretrain",
            f"data.manifest={manifest}",
            f"data.store={store}",
            f"out={folder / 'run'}",
            *PRETRAIN,
        ),
    }
    for stage, command in commands.items():
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "echossl", *command], capture_output=True, text=True, check=False
        )
        row[stage] = round(time.perf_counter() - start, 1)
        say(f"{name} {stage}: {done.stdout.strip()}")
        if done.returncode:
            say(done.stderr)
            row["failed"] = f"{stage} ({done.returncode})"
            return row
    return row | counts(manifest, store)


def say(text: str) -> None:
    """A line that is seen at once, also where the output goes to a file."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def counts(manifest: Path, store: Path) -> dict[str, int]:
    """What the manifest and the store hold."""
    table = pd.read_csv(manifest, dtype=str)
    rejected = len(pd.read_csv(store / "rejected.csv"))
    return {"videos": len(table), "patients": table["patient_id"].nunique(), "rejected": rejected}


if __name__ == "__main__":
    sys.exit(main())
