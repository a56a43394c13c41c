"""The scripts of the label-efficiency study: to the end, killed in the middle, nothing done twice."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml
from small_study import stamps

from echossl.config import load_config
from echossl.config.study import StudyConfig

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
FRACTION_SCRIPTS = {path.name: path for path in EXPERIMENTS.glob("finetune_*pct.sh")}
SCRIPTS = [EXPERIMENTS / "run_pretrain.sh", EXPERIMENTS / "run_all.sh", *FRACTION_SCRIPTS.values()]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """That of a user who has the program elsewhere."""
    program = folder / "echossl"
    program.write_text(f'#!/usr/bin/env bash\nexec {sys.executable} -m echossl "$@"\n')
    program.chmod(0o755)
    own = {"SMALL": "1", "NPROC": "1", "OUT": str(folder / "out"), "ECHOSSL": str(program)}
    return os.environ | {"OMP_NUM_THREADS": "1"} | own | more


def test_run_all_killed_in_the_middle_does_nothing_twice(tmp_path: Path) -> None:
    command, out = ["bash", str(EXPERIMENTS / "run_all.sh")], tmp_path / "out"
    settings = environment(tmp_path)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    first = subprocess.Popen(command, env=settings, start_new_session=True, **quiet)
    while len(list(out.glob("study/cells/*/*/result.json"))) < 2:
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    finished = {path.parent for path in out.glob("study/*/**/result.json")}
    before = {path: stamp for path, stamp in stamps(out / "study").items() if path.parent in finished}
    assert 2 <= len(finished) < 10

    second = subprocess.run(command, env=settings, timeout=1200, check=False, **quiet)
    assert second.returncode == 0, second.stderr
    after = stamps(out / "study")
    assert {path: after[path] for path in before} == before
    assert len(list(out.glob("study/cells/*/*/result.json"))) == 3 * 3
    table = pd.read_csv(out / "study" / "results.csv")
    assert len(table.query("metric == 'auroc' and draw != 'all'")) == 9
    for name in ("summary.md", "label_efficiency.svg", "label_efficiency.png"):
        assert (out / "study" / name).is_file()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_stop_at_the_first_error(script: Path) -> None:
    text = script.read_text()
    assert text.startswith("#!/usr/bin/env bash\n# ")
    assert "set -euo pipefail" in text
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


def test_there_is_a_script_for_every_fraction_of_the_study() -> None:
    study = load_config(StudyConfig, EXPERIMENTS / "studies" / "label_efficiency.yaml")
    asked = {
        name: re.search(r"--fraction ([\d.]+)", path.read_text()) for name, path in FRACTION_SCRIPTS.items()
    }
    fractions = {name: float(found[1]) for name, found in asked.items() if found}
    assert {name: f"finetune_{100 * fraction:g}pct.sh" for name, fraction in fractions.items()} == {
        name: name for name in FRACTION_SCRIPTS
    }
    assert sorted(fractions.values()) == sorted(study.fractions)


def test_the_small_study_is_the_full_one_made_small() -> None:
    full, small = (
        load_config(StudyConfig, EXPERIMENTS / "studies" / f"label_efficiency{word}.yaml")
        for word in ("", "_small")
    )
    assert set(small.fractions) <= set(full.fractions)
    assert {arm.name for arm in small.arms} <= {arm.name for arm in full.arms}
    assert small.arms[0].name == full.arms[0].name
    assert full.draws >= 5
    assert full.seeds >= 3


def test_scripts_pass_their_words_on(tmp_path: Path) -> None:
    """A program that notes how it was called stands in for the real one."""
    program = tmp_path / "program"
    program.write_text(f'#!/usr/bin/env bash\necho "$@" >> {tmp_path}/calls\n')
    program.chmod(0o755)
    settings = environment(tmp_path, ECHOSSL=str(program), DATA=str(tmp_path / "data"), NPROC="3", SIZE="64")
    for name in ("run_pretrain.sh", "finetune_25pct.sh"):
        subprocess.run(["bash", str(EXPERIMENTS / name), "draws=2"], env=settings, check=True, timeout=30)
    calls = (tmp_path / "calls").read_text().splitlines()
    data = tmp_path / "data"
    assert calls[0] == f"prepare manifest={data}/manifest.csv out={data}/store size=64 workers=3"
    shared = (
        f"sweep experiments/studies/label_efficiency_small.yaml data.manifest={data}/manifest.csv "
        f"data.store={data}/store out={tmp_path}/out/study --jobs 3"
    )
    assert [calls[1], calls[3]] == [f"{shared} --pretrain-only draws=2", f"{shared} --fraction 0.25 draws=2"]
    assert not any(call.startswith("phantom") for call in calls)  # there is data


def test_yaml_of_the_studies_is_valid() -> None:
    for path in sorted((EXPERIMENTS / "studies").glob("label_efficiency*.yaml")):
        content = yaml.safe_load(path.read_text())
        assert StudyConfig.model_validate(content).family is not None
