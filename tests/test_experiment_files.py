"""Every settings file under experiments/ is run for a few steps on a phantom, by what its command calls."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import yaml

from echossl.adapt.finetune import finetune
from echossl.config.adapt import FinetuneConfig
from echossl.config.data import PrepareConfig
from echossl.config.phantom import FindingSettings, PhantomConfig, ReportSettings
from echossl.config.probe import ProbeConfig
from echossl.config.sources import PhantomSource
from echossl.config.study import DemoConfig, StudyConfig
from echossl.config.training import PretrainConfig
from echossl.data.manifest import write_manifest
from echossl.data.prepare import prepare
from echossl.data.sources.phantom import index_phantom
from echossl.phantom import generate
from echossl.study.cells import plan_cells, plan_pretrainings
from echossl.study.probe import run_probe
from echossl.training.pretrain import pretrain

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
PATIENTS, SIZE, BATCH = 24, 48, 4
FAST = {"device": "cpu"}
# what real data sets call their labels, and a phantom does not
OTHER_COLUMNS = ("ef_below_45", "pneumonia", "as_severe")
Settings = dict[str, Any]


def files_in(folder: str, *, starting: str = "") -> list[Path]:
    return sorted(path for path in (EXPERIMENTS / folder).glob("*.yaml") if path.name.startswith(starting))


PROBES = files_in("studies", starting="probe_")
STUDIES = [path for path in files_in("studies") if path not in PROBES]


@dataclass(frozen=True)
class Small:
    """Phantom patients with all that a settings file may ask for, and a pre-trained encoder.

    Attributes:
        data: manifest and store, as in a file.
        phantom: folder of the phantom.
        encoder: run folder of a pre-training.
    """

    data: Settings
    phantom: Path
    encoder: Path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("experiments")
    phantom = PhantomConfig(
        out=folder / "phantom",
        patients=PATIENTS,
        views=("plax", "a4c"),
        videos_per_study=(2, 2),
        beats=(1.0, 1.1),
        frames_per_second=(25, 26),
        image_height=(64, 72),
        findings=FindingSettings(),
        reports=ReportSettings(),
        workers=1,
    )
    generate(phantom)
    table = index_phantom(phantom.out, PhantomSource())
    write_manifest(with_every_column(table), folder / "manifest.csv")
    data = {"manifest": str(folder / "manifest.csv"), "store": str(folder / "store")}
    prepare(PrepareConfig(manifest=folder / "manifest.csv", out=folder / "store", size=SIZE, workers=1))
    path = EXPERIMENTS / "pretrain" / "default.yaml"
    encoder = run_pretraining(read(path), data, folder / "encoder")
    yield Small(data, phantom.out, encoder)
    torch.set_num_threads(threads)


def with_every_column(table: pd.DataFrame) -> pd.DataFrame:
    """Two of three patients are for training, and each split holds both answers."""
    number = table["patient_id"].astype("category").cat.codes
    split = number.map(lambda patient: "test" if patient % 3 == 0 else "train")
    labels = {column: (number % 2).astype(float) for column in ("severe_as", *OTHER_COLUMNS)}
    return table.assign(split=split, **labels)


def read(path: Path) -> Settings:
    content: Settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def narrow(network: Settings) -> Settings:
    """The same network with fewer channels and blocks, where its settings have them."""
    if network["name"] == "compact3d":
        return network | {"width": 4}
    if network["name"] == "vit":
        return network | {"width": 16 * network.get("heads", 3), "depth": 2}
    return network


def fitting(objective: Settings) -> Settings:
    """The same loss with a small network for words, and no finer grid than a small picture has places."""
    fewer: Settings = {}
    if objective.get("dense_grid"):
        fewer["dense_grid"] = min(objective["dense_grid"], SIZE // 16)
    if objective.get("text", {}).get("name") == "own":
        fewer["text"] = objective["text"] | {"width": 32, "depth": 1, "heads": 2}
    return objective | fewer


def run_pretraining(content: Settings, data: Settings, out: Path) -> Path:
    """Two steps with the file's clips, losses and augmentation."""
    optimiser = content.get("optimiser", {}) | {"steps": 2, "warmup_steps": 0}
    fewer: Settings = {"data": data, "out": str(out), "optimiser": optimiser, "batch_size": BATCH}
    fewer["encoder"] = narrow(content.get("encoder", {"name": "compact3d"}))
    if "objectives" in content:
        fewer["objectives"] = [fitting(objective) for objective in content["objectives"]]
    if "fusion" in content:
        others = [source | data for source in content["fusion"]["sources"]]
        fewer["fusion"] = content["fusion"] | {"sources": others}
    if content.get("micro_batch"):
        fewer["micro_batch"] = BATCH // 2
    if content.get("start", "random") != "random":
        fewer["start"] = str(out.parent / "encoder")
    pretrain(PretrainConfig.model_validate(content | fewer | {"hardware": FAST}))
    return out


def few_steps(recipe: Settings) -> Settings:
    """The same recipe with two updates, and two values of each list that is searched."""
    fewer: Settings = {
        "frozen": {"steps": 2, "evaluate_every": 1, "warmup_steps": 0, "augmented_views": 1},
        "full": {"steps": 2, "evaluate_every": 1, "warmup_steps": 0},
        "lpft": {"steps": 2, "evaluate_every": 1, "warmup_steps": 0},
        "probe": {"inverse_regularisations": [0.1, 1.0]},
        "pixels": {},
    }[recipe["name"]]
    if "search" in recipe:
        fewer["search"] = {name: values[:2] for name, values in recipe["search"].items()}
    return recipe | fewer


def few_runs(content: Settings, start: Path) -> Settings:
    """The same study with one draw and seed, two steps each, and clips of half a second."""
    fewer: Settings = {"fractions": [1.0], "draws": 1, "seeds": 1, "batch_size": BATCH, "family": {}}
    fewer |= {"optimiser": {"steps": 2, "warmup_steps": 0}, "hardware": FAST}
    fewer |= {"clip": {"clip_seconds": 0.5, "num_frames": 8}}
    fewer["encoder"] = {"name": "compact3d", "width": 4} | {
        name: value for name, value in content.get("encoder", {}).items() if name == "motion"
    }
    if "pretrainings" in content:
        fewer["pretrainings"] = [small_pretraining(each, start) for each in content["pretrainings"]]
    if "arms" in content:
        fewer["arms"] = [small_arm(arm, start) for arm in content["arms"]]
    return content | fewer


def small_pretraining(content: Settings, start: Path) -> Settings:
    unkept = {"data", "batch_size", "encoder"}
    kept = {name: value for name, value in content.items() if value is not None and name not in unkept}
    kept["objectives"] = [fitting(objective) for objective in content["objectives"]]
    if "optimiser" in kept:
        kept["optimiser"] = content["optimiser"] | {"steps": 2, "warmup_steps": 0}
    return kept | ({"start": str(start)} if "/" in content.get("start", "") else {})


def small_arm(content: Settings, start: Path) -> Settings:
    own = "/" not in content.get("start", "")
    return (
        content
        | {"recipe": few_steps(content["recipe"]), "seeds": 1}
        | ({} if own else {"start": str(start)})
    )


@pytest.mark.parametrize("path", files_in("pretrain"), ids=lambda path: path.stem)
def test_every_pretraining_runs(path: Path, small: Small) -> None:
    out = run_pretraining(read(path), small.data, small.encoder.with_name(path.stem))
    assert (out / "encoder.safetensors").is_file()
    assert (out / "result.json").is_file()


@pytest.mark.parametrize("path", files_in("finetune"), ids=lambda path: path.stem)
def test_every_adaptation_runs(path: Path, small: Small, tmp_path: Path) -> None:
    content = read(path)
    changes: Settings = {"data": small.data, "out": str(tmp_path / "run"), "hardware": FAST}
    changes["labels"] = content["labels"] | {"fraction": 1.0}
    changes["recipe"] = few_steps(content["recipe"])
    changes |= {"start": str(small.encoder)} if "start" in content else {}
    config = FinetuneConfig.model_validate(content | changes | {"patients_per_class": 2})
    finetune(config)
    scores = pd.read_csv(tmp_path / "run" / "predictions.csv")
    assert len(scores) > 0
    assert not scores.isna().all().any()


@pytest.mark.parametrize("path", PROBES, ids=lambda path: path.stem)
def test_every_probe_runs(path: Path, small: Small, tmp_path: Path) -> None:
    content = read(path)
    arms = [arm | {"start": start_of(arm["start"], small.encoder)} for arm in content["arms"]]
    changes: Settings = {"data": small.data, "out": str(tmp_path / "run"), "arms": arms, "hardware": FAST}
    changes |= {"fractions": [1.0], "draws": 1, "bootstrap": {"resamples": 100}, "truth": str(small.phantom)}
    kept = {name: value for name, value in content.items() if name not in {"folder", "seeds", "encoder"}}
    run_probe(ProbeConfig.model_validate(kept | changes))
    assert len(pd.read_csv(tmp_path / "run" / "results.csv")) > 0


def start_of(start: str, encoder: Path) -> str:
    return start if start in {"random", "pixels"} else str(encoder)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_runs(path: Path, small: Small, tmp_path: Path) -> None:
    content = read(path)
    settings: Settings = content
    if "data" not in content:  # as in the demo
        settings = DemoConfig.model_validate(content).study.model_dump()
    fewer = few_runs(settings, small.encoder)
    config = StudyConfig.model_validate(fewer | {"data": small.data, "out": str(tmp_path / "study")})
    for pretraining in plan_pretrainings(config):
        pretrain(pretraining)
    cells = list(plan_cells(config))
    assert len(cells) == len(config.arms)
    for cell in cells:
        finetune(cell.config)
    assert all(cell.is_finished for cell in cells)
