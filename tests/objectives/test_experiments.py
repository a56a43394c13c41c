"""Every file under experiments/ is one that its command takes, and every pre-training makes a step."""

from pathlib import Path

import pytest
import torch
import yaml

from echossl.config.adapt import FinetuneConfig
from echossl.config.base import Config, load_config
from echossl.config.objective import ObjectiveConfig
from echossl.config.phantom import PhantomConfig
from echossl.config.probe import ProbeConfig
from echossl.config.study import DemoConfig, StudyConfig
from echossl.config.text import OwnTextConfig
from echossl.config.training import PretrainConfig
from echossl.config.zeroshot import RetrieveConfig, ZeroshotConfig
from echossl.data.clips import Batch
from echossl.encoders import EncoderMetadata, build_encoder
from echossl.objectives import Contrastive, build_objectives

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
FILES = sorted(path for ending in ("yaml", "yml") for path in EXPERIMENTS.rglob(f"*.{ending}"))
PRETRAININGS = [path for path in FILES if path.parent.name == "pretrain"]
SIDE, ITEMS = 64, 4
# one for each item, two of them equal
REPORTS = (
    "Severe aortic stenosis, peak velocity 4.6 m/s.",
    "Normal aortic valve.",
    "Mild aortic stenosis.",
    "Normal aortic valve.",
)


# what a file of experiments/sisters may be for: the one that has all its keys
SISTER_CLASSES: tuple[type[Config], ...] = (
    PretrainConfig,
    FinetuneConfig,
    ProbeConfig,
    ZeroshotConfig,
    RetrieveConfig,
    StudyConfig,
    DemoConfig,
    PhantomConfig,
)


def settings_class(path: Path) -> type[Config]:
    """What the command of a folder reads; a study without data of its own makes a phantom, as in the demo."""
    if path.name.startswith("probe_"):
        return ProbeConfig
    if path.parent.name == "studies":
        has_data = "data" in yaml.safe_load(path.read_text(encoding="utf-8"))
        return StudyConfig if has_data else DemoConfig
    if path.parent.name == "sisters":
        keys = set(yaml.safe_load(path.read_text(encoding="utf-8")))
        return next(model for model in SISTER_CLASSES if keys <= set(model.model_fields))
    return {"pretrain": PretrainConfig, "finetune": FinetuneConfig}[path.parent.name]


def name_of(path: Path) -> str:
    return path.relative_to(EXPERIMENTS).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_file_loads_with_the_settings_of_its_command(path: Path) -> None:
    config = load_config(settings_class(path), path)
    assert path.read_text(encoding="utf-8").startswith("#"), "its first line says what it is for"
    assert load_config(type(config), path) == config


def test_files_are_found_and_write_to_different_folders() -> None:
    assert {"echoclr.yaml", "echoclr_published.yaml", "moco.yaml", "vicreg.yaml", "default.yaml"} <= {
        path.name for path in PRETRAININGS
    }
    folders = [load_config(PretrainConfig, path).out for path in PRETRAININGS]
    assert len(set(folders)) == len(folders)


def with_small_text(config: ObjectiveConfig) -> ObjectiveConfig:
    text = getattr(config, "text", None)
    if not isinstance(text, OwnTextConfig):
        return config
    return config.model_copy(update={"text": text.model_copy(update={"width": 16, "depth": 1, "heads": 2})})


@pytest.mark.parametrize("path", PRETRAININGS, ids=name_of)
def test_every_pretraining_makes_a_step(path: Path) -> None:
    """With the clips and objectives of the file, on narrow networks and small random pictures."""
    torch.manual_seed(0)
    config = load_config(PretrainConfig, path)
    network = config.encoder
    if "width" in type(network).model_fields:
        heads = getattr(network, "heads", None)
        network = network.model_copy(update={"width": 8 * heads if heads else 4})
    encoder = build_encoder(EncoderMetadata(architecture=network, clip=config.clip, size=SIDE))
    for number, part in enumerate(config.objectives):
        if isinstance(text := getattr(part, "text", None), OwnTextConfig):
            small = part.model_copy(update={"text": text.model_copy(update={"width": 4 * text.heads})})
            objectives = (*config.objectives[:number], small, *config.objectives[number + 1 :])
            config = config.model_copy(update={"objectives": objectives})
    reports = REPORTS if config.reads_reports else None
    objectives = [with_small_text(objective) for objective in config.objectives]
    objective = build_objectives(objectives, encoder.dim, reports=reports)
    objective.check(config.clip)
    objective.attach(encoder)
    clips = torch.rand(ITEMS, objective.num_clips, 1, config.clip.num_frames, SIDE, SIDE)
    videos = torch.zeros(clips.shape[:2], dtype=torch.int64)
    batch = Batch(
        clips=clips,
        patients=torch.arange(ITEMS),
        videos=videos,
        reports=reports,
        present=torch.ones(clips.shape[:2], dtype=torch.bool) if reports else None,
    )
    loss, metrics = objective(encoder, batch)
    loss.backward()
    objective.after_update(encoder)
    assert loss.isfinite()
    assert all(value.isfinite() for value in metrics.values())
    assert all(value.grad is not None for value in encoder.parameters())


def test_the_published_refinement_is_the_published_one() -> None:
    """The figures of the authors' program, read back from the file."""
    config = load_config(PretrainConfig, EXPERIMENTS / "pretrain" / "refine_published.yaml")
    [refine] = config.objectives
    assert (refine.text.width, refine.text.depth, refine.text.heads) == (768, 12, 12)
    assert (refine.contrast, refine.matching, refine.masked_words, refine.generation) == (1, 1, 1, 1)
    assert (refine.temperature, refine.label_smoothing, refine.projection_dim) == (0.07, 0.1, 512)
    assert (refine.mask_share, refine.generate, refine.generation_mask_share) == (0.15, "hidden_words", 0.6)
    assert (config.batch_size, config.optimiser.learning_rate, config.optimiser.algorithm) == (
        128,
        1e-4,
        "adamw",
    )
    changed = config.augment.model_dump(exclude_defaults=True)
    assert changed == dict.fromkeys(("scale", "shift", "rotation_degrees", "gamma", "gain"), 0.0)


def test_the_published_recipe_is_the_published_one() -> None:
    """The figures of the paper, read back from the file."""
    config = load_config(PretrainConfig, EXPERIMENTS / "pretrain" / "echoclr_published.yaml")
    contrastive, order = config.objectives
    objective = Contrastive(contrastive, 512)
    head = [tuple(value.shape) for value in objective.projection_head.parameters()]
    assert head == [(256, 512), (256,), (128, 256), (128,)]
    assert (contrastive.temperature, contrastive.weight, order.weight) == (0.05, 1.0, 1.0)
    assert (order.num_segments, config.clip.num_frames, config.batch_size) == (4, 4, 392)
    assert config.clip.clip_seconds / config.clip.num_frames == pytest.approx(1 / 30, rel=1e-3)
    assert (config.pairs, contrastive.same_patient, order.own_pass) == ("all_pairs", "negatives", False)
    assert config.grey == "clip_min_max"
    assert (config.hardware.precision, config.start) == ("fp32", "random")
    used = config.augment.model_dump(exclude_defaults=True)
    off = dict.fromkeys(("scale", "shift", "gamma", "gain"), 0.0)
    assert used == off | {"crop_pixels": 8, "rotation_degrees": 10.0, "flip": 0.5}
    optimiser = config.optimiser
    assert (optimiser.algorithm, optimiser.schedule, optimiser.warmup_steps) == ("adam", "constant", 0)
    assert (optimiser.learning_rate, optimiser.weight_decay) == (0.1, 0)
    mended = load_config(PretrainConfig, EXPERIMENTS / "pretrain" / "echoclr.yaml")
    assert mended.augment.flip == 0
    assert mended.clip.clip_seconds > 1
