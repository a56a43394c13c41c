"""The comparison of starts at its smallest size, its settings files, and its textures."""

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from echossl.config import load_config
from echossl.config.adapt import FinetuneConfig
from echossl.config.base import Config
from echossl.config.phantom import PhantomConfig
from echossl.config.training import PretrainConfig

ROOT = Path(__file__).parents[2]
SISTERS = ROOT / "experiments" / "sisters"
ARMS = ("self", "supervised", "in_domain", "random", "self_again")
MODELS: dict[str, type[Config]] = {"phantom": PhantomConfig, "self": PretrainConfig}


@pytest.fixture
def commands(monkeypatch):
    """The script that runs lines of commands; it says which command it runs in ``sys.argv``."""
    monkeypatch.syspath_prepend(str(SISTERS))
    monkeypatch.setattr(sys, "argv", ["commands.py"])
    monkeypatch.chdir(ROOT)
    return import_module("commands")


@pytest.fixture(scope="module")
def ran(warm_programs, tmp_path_factory) -> tuple[Path, str]:
    """What the script left and printed: two data sets, five arms, all layers trained."""
    out = tmp_path_factory.mktemp("which_start") / "out"
    words = warm_programs | {"OUT": str(out), "RECIPES": "full"}
    script = SISTERS / "which_start.sh"
    done = subprocess.run(
        ["bash", str(script)],
        env=os.environ | words,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return out, done.stdout


def test_the_table_holds_every_arm_pair_and_data_set(ran):
    out, page = ran
    assert page.strip() == (out / "results" / "summary.md").read_text().strip()
    assert f"| data set | findings | patients | {' | '.join(ARMS)} |" in page
    rows = re.findall(
        r"^\| (harbour|lake) \| (\w+) - (\w+)( \(planted null\))? \|.* p [=<] ", page, re.MULTILINE
    )
    pairs = [(first, second) for place, first in enumerate(ARMS) for second in ARMS[place + 1 :]]
    assert [(row[0], row[1], row[2]) for row in rows] == [
        (s, *pair) for s in ("harbour", "lake") for pair in pairs
    ]
    assert [row[1:3] for row in rows if row[3]] == [("self", "self_again")] * 2
    assert f"- random: {3e-4:g} in 2 runs" in page or f"- random: {1e-3:g}" in page


def test_the_table_of_figures_holds_both_families(ran):
    table = pd.read_csv(ran[0] / "results" / "full.csv")
    adjusted = table[table["metric"].str.endswith("_adjusted_p_value")]
    # ten pairs; three findings at harbour, four at lake, and a mean each
    assert len(adjusted) == 10 * (4 + 5)
    assert adjusted["value"].between(0, 1).all()
    text = (ran[0] / "results" / "full.txt").read_text()
    assert "over the family of findings, 70 differences" in text
    assert "over the family of means, 20 differences" in text
    assert "of them uncertain" in text or "studies without a label" in text


def test_every_arm_is_adapted_by_the_same_recipe(ran):
    """All settings of a data set's runs are equal, but for start, seed and draw of the held-out patients."""
    runs = sorted((ran[0] / "full").glob("*/*/run.json"))
    assert len(runs) == 10
    for data_set in ("harbour", "lake"):
        kept = []
        for path in [path for path in runs if path.parent.parent.name == data_set]:
            config = yaml.safe_load(path.read_text())["config"]
            starts = config.pop("start")
            assert (starts is None) == path.parent.name.startswith("random")
            del config["out"], config["seed"], config["labels"]["draw"]
            kept.append(config)
        assert all(config == kept[0] for config in kept)
        assert kept[0]["augment"]["flip"] == 0
        assert len(kept[0]["recipe"]["search"]["learning_rates"]) > 1


def test_running_again_does_nothing_twice(ran, warm_programs, tmp_path):
    out = ran[0]
    before = {path: path.stat().st_mtime_ns for path in out.rglob("predictions.csv")}
    cells = [line for line in (out / "commands.txt").read_text().splitlines() if "/full/lake/" in line]
    assert len(cells) == 5
    (tmp_path / "cells.txt").write_text("\n".join(cells))
    words = [warm_programs["PYTHON"], str(SISTERS / "commands.py"), "1", str(tmp_path / "cells.txt")]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("predictions.csv")}


@pytest.mark.parametrize("path", sorted(SISTERS.glob("which_start_*.yaml")), ids=lambda path: path.stem)
def test_settings_files_are_read(path):
    config = load_config(MODELS.get(path.stem.removeprefix("which_start_"), FinetuneConfig), path, [])
    if path.stem.endswith("published"):
        assert (config.recipe.learning_rate, config.recipe.weight_decay) == (1e-5, 0)
        assert 2 * config.patients_per_class == 32
        assert (config.augment.flip, config.augment.rotation_degrees) == (0, 7)
        assert config.encoder.width == 768


def test_commands_stop_at_the_first_that_fails(commands, capsys):
    assert commands.run_lines(["options report", "options report && options prepare"], 1) == 0
    whole = capsys.readouterr().out
    assert "least" in whole or "resamples" in whole
    lines = ["options report && options no_such_command && options prepare", "---", "options prepare"]
    assert commands.run_lines(lines, 1) == 2
    found = capsys.readouterr()
    assert "failed: echossl options no_such_command" in found.err
    assert whole.startswith(found.out)


def test_textures_are_told_apart_by_kind_alone(ran):
    from PIL import Image

    folder = ran[0] / "data" / "textures"
    table = pd.read_csv(folder / "manifest.csv")
    assert set(table["texture"].value_counts()) == {len(table) // 8}
    assert set(table["split"]) == {"train", "test"}
    pictures = [np.asarray(Image.open(folder / path)) for path in table["path"]]
    assert {picture.shape for picture in pictures} == {(64, 64)}
    assert all(np.ptp(picture) > 60 for picture in pictures)
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
