"""Which settings the tripartite objective takes, and what is kept of it: checkpoints and alignment files."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tripartite_samples import NO_AUTOCAST, REPORTS, TEXT, batch_of, config_of, encoder_of, tripartite

from echossl.config.base import load_config
from echossl.config.encoder import R3D18Config
from echossl.config.training import OptimiserConfig, PretrainConfig
from echossl.errors import ConfigError, UserError
from echossl.objectives import Tripartite, build_objectives
from echossl.objectives.alignment import FILE_NAME, Alignment, read_alignments, save_alignments
from echossl.training.checkpoint import Checkpoints
from echossl.training.learner import Learner, update
from echossl.training.optimiser import build_optimiser


def settings_of(**changes) -> dict[str, object]:
    objective = {"name": "tripartite", "slots": ["L", "R"], "slot_column": "side"}
    return {"data": {"manifest": "m.csv", "store": "s"}, "out": "o", "objectives": [objective]} | changes


def refused(settings: dict[str, object], tmp_path: Path) -> str:
    (tmp_path / "c.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigError) as caught:
        load_config(PretrainConfig, tmp_path / "c.json")
    return str(caught.value)


def test_sister_trap_06_sides_are_not_mirrored(tmp_path: Path) -> None:
    message = refused(settings_of(augment={"flip": 0.5}), tmp_path)
    assert "augment.flip mirrors sides" in message
    assert "set flip to 0" in message
    views = {"name": "tripartite", "slots": ["plax", "a4c"]}
    mirrored = settings_of(objectives=[views], augment={"flip": 0.5})
    assert PretrainConfig.model_validate(mirrored).reads_reports
    assert PretrainConfig.model_validate(settings_of()).augment.flip == 0


def test_sister_trap_09_settings_without_effect_are_refused(tmp_path: Path) -> None:
    unknown = {"name": "tripartite", "slot": ["L", "R"]}
    assert "did you mean slots" in refused(settings_of(objectives=[unknown]), tmp_path)
    equal = {"name": "tripartite", "slots": ["L", "l"]}
    assert "give different ones" in refused(settings_of(objectives=[equal]), tmp_path)
    whole = {"name": "tripartite", "slots": ["L", "Study"]}
    assert "name of all of them together" in refused(settings_of(objectives=[whole]), tmp_path)
    both = [{"name": "tripartite"}, {"name": "contrastive"}]
    assert "leave one out" in refused(settings_of(objectives=both), tmp_path)
    alone = settings_of(objectives=[{"name": "contrastive"}], report_column="befund")
    assert "no objective reads reports" in refused(alone, tmp_path)
    source = {"name": "b", "manifest": "b.csv", "store": "b"}
    assert "reads the reports of one" in refused(settings_of(fusion={"sources": [source]}), tmp_path)


def make_learner() -> Learner:
    encoder = encoder_of(R3D18Config(width=4))
    return Learner(encoder, build_objectives([config_of()], encoder.dim, reports=REPORTS))


def one_step(learner: Learner, optimiser: torch.optim.Optimizer, step: int) -> float:
    batch = replace(batch_of(), step=step)
    return update(learner, optimiser, batch, autocast=NO_AUTOCAST, max_gradient_norm=None)["loss"]


def test_sister_trap_10_saved_and_loaded_the_next_step_is_the_same(tmp_path: Path) -> None:
    learner, settings = make_learner(), OptimiserConfig(warmup_steps=0)
    optimiser, checkpoints = build_optimiser(learner, settings), Checkpoints(tmp_path, keep=1)
    losses = [one_step(learner, optimiser, step) for step in range(3)]
    checkpoints.save(3, learner, optimiser)
    losses += [one_step(learner, optimiser, step) for step in (3, 4)]
    torch.manual_seed(9)
    again = make_learner()
    resumed = build_optimiser(again, settings)
    assert checkpoints.restore(again, resumed) == 3
    assert [one_step(again, resumed, step) for step in (3, 4)] == losses[3:]


def test_sister_trap_10_the_alignment_file_gives_the_same_loss(tmp_path: Path) -> None:
    learner = make_learner()
    one_step(learner, build_optimiser(learner, OptimiserConfig(warmup_steps=0)), 0)
    save_alignments(learner.objective.artifacts(), tmp_path / FILE_NAME)
    objective = Tripartite.of_alignment(read_alignments(tmp_path)["tripartite"])
    assert not objective.training
    assert objective.config == config_of()
    learner.eval()
    with torch.no_grad():
        expected, _ = learner(batch_of())
        found, _ = objective(learner.encoder, batch_of())
    assert torch.equal(expected, found)
    alignment = read_alignments(tmp_path / FILE_NAME)["tripartite"]
    short = {name: value for name, value in alignment.state.items() if name != "log_scales"}
    with pytest.raises(UserError, match="1 weights are missing or unknown, as log_scales"):
        Tripartite.of_alignment(Alignment(short, alignment.metadata))


def test_sister_trap_12_only_safetensors_are_read(tmp_path: Path) -> None:
    torch.save(make_learner().objective.state_dict(), tmp_path / FILE_NAME)
    with pytest.raises(UserError, match="not a safetensors file"):
        read_alignments(tmp_path)
    with pytest.raises(UserError, match="no such file; give the folder of a finished pre-training"):
        read_alignments(tmp_path / "other")


def test_long_reports_are_not_cut_in_silence(caplog) -> None:
    tripartite(config_of(text=TEXT | {"length": 10}))
    assert "% of the reports are longer than text.length and are cut" in caplog.text
    caplog.clear()
    tripartite()
    assert not caplog.text
