"""The command line: quick to start, clear when wrong, and the whole path command by command."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

COMMANDS = (
    *("demo", "phantom", "index", "check", "prepare", "pretrain", "finetune", "probe", "join", "export"),
    *("evaluate", "compare", "explain", "embed", "views", "sweep", "report", "options", "doctor"),
    *("augment-preview", "predict", "zeroshot", "retrieve"),
)
# small enough for seconds, large enough for every stage to be real
SMALL_VIDEOS = [
    "videos_per_study=[2,2]",
    "beats=[1.7,2.0]",
    "frames_per_second=[25,28]",
    "image_height=[64,80]",
]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def echossl(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "echossl", *words]
    return subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=300, check=False
    )


def run(*words: str, folder: Path) -> str:
    done = echossl(*words, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def processor_seconds_of(*words: str, folder: Path) -> float:
    """Time on the processor, so that a busy machine does not decide."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    echossl(*words, folder=folder)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def test_help_names_every_command(tmp_path: Path) -> None:
    text = run("--help", folder=tmp_path)
    assert all(f"\n  {command} " in text for command in COMMANDS)


@pytest.mark.parametrize(
    "words", [["--help"], ["pretrain", "--help"], ["pretrain", "seeed=1"], ["options", "demo"]]
)
def test_help_and_errors_appear_at_once(words: list[str], tmp_path: Path) -> None:
    assert processor_seconds_of(*words, folder=tmp_path) < 1.0


def test_torch_is_not_imported_for_help() -> None:
    code = "import sys, echossl.cli, echossl.config.listing; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["pretrain", "seeed=1"], "seeed: no such option, did you mean seed?"),
        (["pretrain", "a.yaml", "b.yaml"], "found 2 files (a.yaml, b.yaml), expected one at most"),
        (["pretrain", "absent.yaml"], "absent.yaml: no such file"),
        (["prepare", "manifest=absent.csv", "out=store"], "absent.csv"),
        (
            ["check", "absent.csv", "clip.too_shrt=error"],
            "clip.too_shrt: no such option, did you mean too_short?",
        ),
        (["check", "absent.csv", "clip.too_short=stop"], "clip.too_short: found 'stop'"),
        (["index", "echonet", "."], "source 'echonet': no such layout, did you mean echonet_"),
        (["index", "folder", ".", "patient_patern=x"], "did you mean patient_pattern?"),
        (["index", "folder", ".", "--split", "train"], "--split train: expected NAME=SHARE"),
        (["evaluate", "absent.csv"], "absent.csv: no such file; give a predictions.csv"),
        (["embed", "absent", "store"], "store: no finished clip store; run echossl prepare"),
        (["predict", "absent", "."], "absent: no such file or folder; give a run of echossl finetune"),
        (["report", "."], "holds no run.json and no results.csv; give the folder of a demo"),
        (["options", "pretain"], "no command 'pretain' with settings"),
    ],
)
def test_wrong_input_is_one_clear_line_and_exit_code_2(
    words: list[str], expected: str, tmp_path: Path
) -> None:
    done = echossl(*words, folder=tmp_path)
    assert done.returncode == 2
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert all(line.startswith(("echossl: ", "command line: ")) for line in done.stderr.splitlines())


def test_doctor_says_what_is_usable(tmp_path: Path) -> None:
    assert "PyAV" in run("doctor", folder=tmp_path)
    states = {state["name"]: state for state in json.loads(run("doctor", "--json", folder=tmp_path))}
    assert states["PyAV"]["usable"]
    assert all(state["usable"] or state["reason"] for state in states.values())


def test_options_of_index_list_every_layout(tmp_path: Path) -> None:
    text = run("options", "index", folder=tmp_path)
    assert "mimic_iv_echo  # " in text
    assert "\n  patient_pattern = " in text


def test_nothing_of_the_user_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("path,patient_id,my_label\na.avi,p1,1\n")
    (tmp_path / "a.avi").write_bytes(b"no video")
    before = (tmp_path / "manifest.csv").read_bytes()
    for words in (["index", "folder", "."], ["check", "manifest.csv", "-o", "manifest.csv"]):
        done = echossl(*words, folder=tmp_path)
        assert done.returncode == 2
        assert "is there already" in done.stderr
        assert (tmp_path / "manifest.csv").read_bytes() == before
    run("index", "folder", ".", "--overwrite", folder=tmp_path)
    assert (tmp_path / "manifest.csv").read_bytes() != before


def test_places_that_cannot_be_written_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.avi").write_bytes(b"no video")
    done = echossl("index", "folder", ".", "-o", "/proc/absent/x.csv", folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "/proc/absent" in done.stderr


def test_a_table_in_the_place_of_settings_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("path,patient_id,report\na.avi,p1,Mr Doe: severe: stenosis\n")
    done = echossl("prepare", "m.csv", "out=store", folder=tmp_path)
    assert done.returncode == 2
    assert "manifest=m.csv" in done.stderr
    assert "Doe" not in done.stderr


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    assert "Traceback" in echossl("--debug", "evaluate", "absent.csv", folder=tmp_path).stderr


def write_predictions(path: Path, signal: float) -> None:
    generator = np.random.default_rng(1)
    labels = (np.arange(100) % 4 == 0).astype(int)
    names = [f"{number:03d}" for number in range(100)]
    table = pd.DataFrame({"patient_id": names, "study_id": names, "split": "test", "severe_as": labels})
    table["severe_as_score"] = signal * labels + generator.normal(size=100)
    table.to_csv(path, index=False)


def test_evaluate_and_compare_any_table(tmp_path: Path) -> None:
    write_predictions(tmp_path / "a.csv", 2.0)
    write_predictions(tmp_path / "b.csv", 0.5)
    text = run("evaluate", "a.csv", "resamples=500", folder=tmp_path)
    assert "100 patients, 100 studies, 25 positive patients" in text
    assert "500 resamples of patients" in text
    assert "follows as_severe (" in text
    assert "4.0 m/s" in text
    (answer,) = json.loads(run("compare", "a.csv", "b.csv", "--json", folder=tmp_path))
    assert answer["figures"]["auroc"]["low"] > 0
    assert answer["classes"].startswith("as_severe")
    assert 0 < answer["figures"]["auroc"]["p_value"] < 0.05


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a phantom, its manifest and its clip store."""
    folder = tmp_path_factory.mktemp("commands")
    run("phantom", "phantom", "--patients", "24", "--seed", "3", *SMALL_VIDEOS, folder=folder)
    words = ["--split", "train=0.6", "--split", "test=0.4", "--stratify", "severe_as"]
    assert "48 videos of 24 patients" in run("index", "phantom", "phantom", *words, folder=folder)
    assert "48 videos: 48 can be used" in run("check", "manifest.csv", "--workers", "1", folder=folder)
    text = run("prepare", "manifest=manifest.csv", "out=store", "size=32", folder=folder)
    assert "48 videos stored, 0 rejected" in text
    return folder


def test_check_says_what_is_too_short_for_a_clip_that_is_stated(prepared: Path) -> None:
    clip = ["clip.clip_seconds=100", "clip.too_short=error"]
    done = echossl("check", "manifest.csv", *clip, "--out", "short.csv", "--workers", "1", folder=prepared)
    assert done.returncode == 1
    assert "48 cannot" in done.stdout
    assert "problem too short: 48, first " in done.stdout
    assert len(pd.read_csv(prepared / "short.csv")) == 48


def test_the_whole_path_command_by_command(prepared: Path) -> None:
    data = ["data.manifest=manifest.csv", "data.store=store"]
    small = ["optimiser.steps=3", "batch_size=8"]
    assert "clips" in run("pretrain", *data, "out=runs/dry", *small, "--dry-run", folder=prepared)
    assert not (prepared / "runs/dry").exists()
    assert "encoder.safetensors" in run("pretrain", *data, "out=runs/a", *small, folder=prepared)
    assert "encoder.safetensors" in run(
        "pretrain", *data, "out=runs/c2", "start=runs/a", *small, folder=prepared
    )
    recipe = ["recipe.name=frozen", "recipe.steps=10", "recipe.augmented_views=4", "labels.fraction=0.5"]
    run("finetune", *data, "out=runs/b", "start=runs/a", *recipe, folder=prepared)
    assert "AUROC" in run("evaluate", "runs/b/predictions.csv", folder=prepared)
    run("explain", "run=runs/b", "out=maps", "studies=2", "region=phantom", folder=prepared)
    assert len(list(prepared.glob("maps/*/overlay.mp4"))) == 4
    assert "2 clips" in run("augment-preview", "store", "blur=1", "--clips", "2", folder=prepared)
    assert "96 clips, 128 numbers each" in run("embed", "runs/a", "store", folder=prepared)
    assert np.load(prepared / "embeddings.npz")["features"].shape == (96, 128)


def test_a_run_with_other_settings_is_refused(prepared: Path) -> None:
    words = ["pretrain", "data.manifest=manifest.csv", "data.store=store", "out=runs/c", "batch_size=8"]
    run(*words, "optimiser.steps=2", folder=prepared)
    done = echossl(*words, "optimiser.steps=3", folder=prepared)
    assert done.returncode == 2
    assert "optimiser.steps: 2 there, 3 asked for" in done.stderr


def test_a_run_is_repeated_from_its_record(prepared: Path) -> None:
    words = ["data.manifest=manifest.csv", "data.store=store", "batch_size=8", "optimiser.steps=2"]
    run("pretrain", *words, "out=runs/d", "hardware.precision=fp32", folder=prepared)
    run("pretrain", "runs/d/run.json", "out=runs/e", folder=prepared)
    first, second = (prepared / "runs" / name / "encoder.safetensors" for name in "de")
    import safetensors.numpy

    weights = [safetensors.numpy.load_file(path) for path in (first, second)]
    assert all(np.array_equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_file_of_settings_says_how_many_patients_a_phantom_has(tmp_path: Path) -> None:
    (tmp_path / "few.yaml").write_text("patients: 2\nseed: 5\ncontainers: [png]\nvideos_per_study: [1, 1]\n")
    assert "2 patients" in run("phantom", "of_file", "few.yaml", folder=tmp_path)
    assert "1 patients" in run("phantom", "of_option", "few.yaml", "--patients", "1", folder=tmp_path)
    of_file = (tmp_path / "of_file" / "patients.csv").read_text().splitlines()
    of_option = (tmp_path / "of_option" / "patients.csv").read_text().splitlines()
    assert of_option == of_file[:2]  # the same seed: the first patient of both
