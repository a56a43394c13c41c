"""YAML and key=value become one frozen model, or one clear line."""

import json
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from echossl.config import Config, load_config
from echossl.config.adapt import FinetuneConfig
from echossl.config.data import DataConfig, PrepareConfig
from echossl.config.encoder import Compact3DConfig, R3D18Config
from echossl.config.explain import ExplainConfig
from echossl.config.listing import COMMANDS, list_options
from echossl.config.sources import CsvSource, FolderSource
from echossl.config.study import DEMO_PHANTOM, DemoConfig, StudySettings
from echossl.config.training import PretrainConfig
from echossl.errors import ConfigError

PRETRAIN = "data: {manifest: m.csv, store: s}\nout: runs/a\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "pretrain.yaml"
    path.write_text(text)
    return path


def test_file_and_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, PRETRAIN + "optimiser: {steps: 7}\n")
    config = load_config(
        PretrainConfig, path, ["optimiser.learning_rate=0.01", "encoder.name=r3d_18", "seed=3"]
    )
    assert config.data == DataConfig(manifest=Path("m.csv"), store=Path("s"))
    assert (config.optimiser.steps, config.optimiser.learning_rate, config.seed) == (7, 0.01, 3)
    assert config.encoder.name == "r3d_18"


def test_an_override_reaches_into_a_list(tmp_path: Path) -> None:
    path = write(tmp_path, PRETRAIN + "objectives: [{name: contrastive}, {name: frame_order}]\n")
    config = load_config(PretrainConfig, path, ["objectives.1.weight=0.25"])
    assert [objective.weight for objective in config.objectives] == [1.0, 0.25]


def test_a_part_of_a_default_keeps_the_rest() -> None:
    config = load_config(DemoConfig, None, ["out=a", "phantom.patients=9", "study.optimiser.steps=7"])
    assert config.phantom == DEMO_PHANTOM.model_copy(update={"patients": 9})
    assert config.study.optimiser == StudySettings().optimiser.model_copy(update={"steps": 7})


def test_a_part_of_a_choice_needs_no_name_but_another_choice_starts_afresh(tmp_path: Path) -> None:
    path = write(tmp_path, PRETRAIN)
    assert load_config(PretrainConfig, path, ["encoder.width=8"]).encoder == Compact3DConfig(width=8)
    assert load_config(PretrainConfig, path, ["encoder.name=r3d_18"]).encoder == R3D18Config()


@pytest.mark.parametrize(
    "text",
    [
        r"[^/]+/(P[0-9]+)",
        r"^([A-Z]\d+): x",
        "007",
        "1e3",
        "yes",
        "a # b",
        "{a",
        "'p'",
        "x=y",
        "*",
        "- a",
        "~",
    ],
)
def test_text_and_paths_are_taken_as_they_stand(text: str) -> None:
    assert load_config(FolderSource, None, [f"patient_pattern={text}"]).patient_pattern == text
    assert load_config(CsvSource, None, [f"columns.patient_id={text}"]).columns == {"patient_id": text}
    words = [f"data.manifest={text}", f"data.store={text}", f"out={text}", f"start={text}"]
    config = load_config(FinetuneConfig, None, [*words, f"labels.column={text}"])
    assert (config.out, config.start, config.data.store) == (Path(text), Path(text), Path(text))
    assert config.labels.column == text


def test_what_may_be_nothing_is_nothing_where_nothing_stands() -> None:
    for text in ("", "null"):
        assert load_config(FolderSource, None, [f"patient_pattern={text}"]).patient_pattern is None
        assert load_config(CsvSource, None, [f"videos={text}"]).videos is None
    assert load_config(ExplainConfig, None, ["run=a", "out=b", "layer=null"]).layer is None
    assert load_config(CsvSource, None, ["suffix="]).suffix == ""
    with pytest.raises(ConfigError, match="out: found None"):
        load_config(ExplainConfig, None, ["run=a", "out="])


def test_other_values_are_yaml() -> None:
    words = ["columns={path: File, patient_id: MRN}", "suffix=.avi"]
    assert load_config(CsvSource, None, words).columns == {"path": "File", "patient_id": "MRN"}
    assert load_config(FolderSource, None, ["frame_folders=yes", "fps=1e1"]).fps == 10
    assert load_config(FolderSource, None, ["fps=null"]).fps is None


def test_text_in_an_item_of_a_list_is_taken_as_it_stands(tmp_path: Path) -> None:
    arm = "{name: a, title: A, start: random, recipe: {name: frozen}}"
    config = load_config(StudySettings, None, [f"arms=[{arm}]", "arms.0.title=AS: 50 % [x"])
    assert config.arms[0].title == "AS: 50 % [x"


def test_repeats_a_run_from_its_record(tmp_path: Path) -> None:
    config = load_config(PretrainConfig, write(tmp_path, PRETRAIN))
    record = tmp_path / "run.json"
    record.write_text(json.dumps({"command": "pretrain", "config": config.model_dump(mode="json")}))
    assert load_config(PretrainConfig, record) == config


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        (
            PRETRAIN + "optimiser: {stepps: 7}",
            [],
            "pretrain.yaml: optimiser.stepps: no such option, did you mean steps?",
        ),
        (PRETRAIN + "objectives: [{name: contrastive, temprature: 1}]", [], "did you mean temperature?"),
        (
            PRETRAIN + "objectives: [{weight: 2}]",
            [],
            "objectives.0: which one is meant?",
        ),
        ("out: a", [], "pretrain.yaml: data: this option is required and was not given"),
        (PRETRAIN + "batch_size: two", [], "batch_size: found 'two'"),
        (PRETRAIN + "batch_size: 1", [], "batch_size: found 1; input should be greater than or equal to 2"),
        (PRETRAIN + "encoder: {name: r4d}", [], "r4d"),
        ("- a\n- b\n", [], "found list, expected keys and values"),
        ("a: [", [], "not a YAML file"),
        (PRETRAIN, ["seed"], "'seed' is not key=value"),
        (PRETRAIN, ["seed=[1"], "value that is not YAML"),
        (PRETRAIN, ["seed=1", "seed.x=2"], "seed is a single value, it has no parts"),
        (
            PRETRAIN + "objectives: [{name: contrastive}]",
            ["objectives.4.weight=1"],
            "must be a number from 0 to 0",
        ),
    ],
)
def test_every_fault_is_one_clear_line(tmp_path: Path, text: str, words: list[str], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(PretrainConfig, write(tmp_path, text), words)
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message
    assert caught.value.exit_code == 2


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(PretrainConfig, write(tmp_path, PRETRAIN + "seed: -1\nbatch_size: 0\n"))
    assert len(str(caught.value).splitlines()) == 2


def test_missing_file() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such file"):
        load_config(PretrainConfig, Path("nowhere.yaml"))


def test_settings_are_frozen() -> None:
    config = PrepareConfig(manifest=Path("m.csv"), out=Path("s"))
    with pytest.raises(ValidationError):
        config.size = 3  # type: ignore[misc]


def all_models(model: type[BaseModel]) -> set[type[BaseModel]]:
    return {model}.union(*(all_models(child) for child in model.__subclasses__()))


def test_every_field_has_a_description() -> None:
    for model in all_models(Config):
        for name, field in model.model_fields.items():
            assert name == "name" or field.description, f"{model.__name__}.{name} has no description"


def test_every_field_is_read_somewhere() -> None:
    """An option with no effect is a lie: its name must stand in the code as an attribute."""
    package = Path(__file__).parents[2] / "echossl"
    code = "\n".join(path.read_text() for path in package.rglob("*.py"))
    for model in all_models(Config):
        if model.__module__.startswith("echossl.config."):
            for name in model.model_fields:
                assert f".{name}" in code, f"{model.__name__}.{name} is never read"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_is_listed(command: str) -> None:
    lines = list_options(command)
    assert all("#" in line and " = " in line for line in lines)
    assert {line.split(" = ")[0] for line in lines} >= set(COMMANDS[command].model_fields)


def test_listing_of_an_unknown_command_names_the_known() -> None:
    with pytest.raises(ConfigError, match="there are demo, phantom"):
        list_options("pretain")


def test_an_arm_must_start_from_something_known() -> None:
    with pytest.raises(ConfigError, match="starts from 'nothing'; known are dense, random, simclr"):
        load_config(
            StudySettings, None, ["arms=[{name: a, title: A, start: nothing, recipe: {name: frozen}}]"]
        )


def test_recipes_are_told_apart_by_name() -> None:
    words = ["data.manifest=m", "data.store=s", "out=o", "recipe.name=full", "recipe.head_learning_rate=0.1"]
    config = load_config(FinetuneConfig, None, words)
    assert config.recipe.name == "full"
    assert config.recipe.head_learning_rate == 0.1
