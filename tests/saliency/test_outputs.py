"""What is explained of runs with several outputs, and of studies that are no mean of their videos."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from echossl.adapt import finetune
from echossl.adapt.study_pooling import pooled_outputs
from echossl.adapt.tasks import build_task
from echossl.config.adapt import FinetuneConfig, FrozenRecipe, LabelBudget
from echossl.config.data import DataConfig
from echossl.config.evaluation import BootstrapConfig
from echossl.config.explain import ExplainConfig
from echossl.config.task import TaskSettings
from echossl.data.manifest import read_manifest, write_manifest
from echossl.encoders.attention import GatedAttention
from echossl.encoders.classifier import StudyPooling
from echossl.encoders.heads import build_head
from echossl.errors import UserError
from echossl.saliency.explain import explain
from echossl.saliency.in_study import PooledHead
from echossl.saliency.model import Model
from echossl.saliency.output import OneOutput, choose_output, outputs_of
from echossl.study.explain import explain_run

GRADES = ("none", "mild", "moderate", "severe")
ORDINAL = TaskSettings(name="ordinal", columns=("as_grade",), classes=GRADES)
VIEWS = TaskSettings(name="multiclass", columns=("view",), classes=("PLAX", "apical four", "other"))
FINDINGS = TaskSettings(name="multilabel", columns=("severe_as", "any_as"))
VELOCITY = TaskSettings(name="regression", columns=("velocity",), mean=3.0, deviation=0.5)
QUICK = FrozenRecipe(steps=2, evaluate_every=2, augmented_views=1)


def _head(task: TaskSettings) -> nn.Module:
    head = build_head(task, 5)
    with torch.no_grad():
        head.weight.normal_(generator=torch.Generator().manual_seed(1))
    return head


@pytest.mark.parametrize(
    ("task", "names"),
    [
        (ORDINAL, ("at_least_mild", "at_least_moderate", "at_least_severe")),
        (VIEWS, ("PLAX", "apical_four", "other")),
        (FINDINGS, ("severe_as", "any_as")),
        (VELOCITY, ("velocity",)),
        (TaskSettings(name="binary", columns=("severe_as",)), ("severe_as",)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_output_says_what_its_score_column_says(tmp_path, task, names) -> None:
    outputs = outputs_of(task)
    assert tuple(output.name for output in outputs) == names
    features, head = torch.randn(7, 5), _head(task)
    with torch.no_grad():
        scores = build_task(task).scores(head(features).numpy())
        own = {output.name: OneOutput(head, output)(features) for output in outputs}
    columns = build_task(task).score_names
    for output in outputs:
        assert own[output.name].shape == (7, 1)
        found = own[output.name][:, 0].double().numpy()
        place = (
            next(number for number, name in enumerate(columns) if name.endswith(f"_{output.name}"))
            if (task.name in {"ordinal", "multiclass"})
            else output.place
        )
        # probabilities of classes and cuts, logits and measurements as they are
        told = 1 / (1 + np.exp(-found)) if task.name in {"ordinal", "multiclass"} else found
        assert np.allclose(told, scores[:, place], atol=1e-5)


def test_an_output_is_named_or_the_only_one(tmp_path) -> None:
    assert choose_output(VELOCITY, None, tmp_path).question == "velocity"
    assert choose_output(VIEWS, "apical four", tmp_path).question == "view_is_apical_four"
    assert choose_output(ORDINAL, "as_grade_at_least_severe", tmp_path).place == 2
    with pytest.raises(UserError, match="several outputs; give output= one of at_least_mild, at_least_mod"):
        choose_output(ORDINAL, None, tmp_path)
    with pytest.raises(UserError, match="output: found severe, expected one of at_least_mild"):
        choose_output(ORDINAL, "severe", tmp_path)
    with pytest.raises(UserError, match="output: found as, expected velocity"):
        choose_output(VELOCITY, "as", tmp_path)


@pytest.mark.parametrize("name", ["max", "attention"])
@pytest.mark.parametrize("task", [VIEWS, ORDINAL, VELOCITY], ids=lambda task: task.name)
def test_a_clip_in_its_study_has_the_score_of_the_study(task, name: str) -> None:
    generator = torch.Generator().manual_seed(4)
    features = [torch.randn(count, 5, generator=generator) for count in (2, 3, 1)]
    attention = GatedAttention(5, 3) if name == "attention" else None
    if attention is not None:
        nn.init.normal_(attention.score.weight, std=2)
    head, output = _head(task), outputs_of(task)[0]
    heads = PooledHead(head, StudyPooling(name, attention), output).of_clips(features)
    videos = pd.DataFrame({"patient_id": "P", "study_id": "S"}, index=range(3))
    arrays = [each.numpy().copy() for each in features]

    def score(changed: torch.Tensor, video: int, clip: int) -> float:
        parts = [each.copy() for each in arrays]
        parts[video][clip] = changed.numpy()
        _, outputs = pooled_outputs(videos, parts, head, pooling=name, attention=attention)
        return float(output.of(torch.tensor(outputs))[0, 0])

    shares = []
    for video, own in enumerate(features):
        for clip in range(len(own)):
            new = torch.randn(2, 5, generator=generator)
            with torch.no_grad():
                same, moved = heads[video][clip](own[clip][None]), heads[video][clip](new)
            assert float(same) == pytest.approx(score(own[clip], video, clip), abs=1e-5)
            for number in range(2):
                assert float(moved[number]) == pytest.approx(score(new[number], video, clip), abs=1e-5)
        shares.append(heads[video][0].share())
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert (set(shares) == {0.0, 1.0}) == (name == "max")


def test_a_study_of_one_video_is_the_video() -> None:
    head, output = _head(VELOCITY), outputs_of(VELOCITY)[0]
    clip = torch.randn(1, 5)
    (alone,) = PooledHead(head, StudyPooling("max"), output).of_clips([clip])[0]
    assert torch.allclose(alone(clip), OneOutput(head, output)(clip))
    assert alone.share() == 1


@pytest.fixture(scope="module")
def tasks(study):
    """The phantom of the other tests with labels of every kind."""
    table = read_manifest(study / "manifest.csv")
    number = table["study_id"].map({name: n for n, name in enumerate(sorted(set(table["study_id"])))})
    table["as_grade"] = np.array(GRADES)[number % 4]
    table["kind"] = np.array(["dim", "quite bright"])[number % 2]
    table["any_as"] = (number % 4 > 1).astype(float)
    table["velocity"] = 2 + 0.1 * number
    write_manifest(table, study / "tasks.csv")
    return DataConfig(manifest=study / "tasks.csv", store=study / "store")


def _finetuned(study, data: DataConfig, out: str, **changes):
    record = json.loads((study / "run" / "run.json").read_text())["config"]
    settings = FinetuneConfig.model_validate(record).model_copy(
        update={"data": data, "out": study / out, "recipe": QUICK} | changes
    )
    finetune(settings)
    return study / out


LABELS = {
    "at_least_severe": LabelBudget(column="as_grade", fraction=1),
    "quite bright": LabelBudget(column="kind", classes=("dim", "quite bright"), fraction=1),
    "any_as": LabelBudget(columns=("severe_as", "any_as"), fraction=1),
    "velocity": LabelBudget(column="velocity", task="regression", fraction=1),
}


@pytest.mark.parametrize("name", list(LABELS))
def test_every_task_is_explained_by_the_output_of_a_name(study, tasks, name: str) -> None:
    run = _finetuned(study, tasks, f"task {name}", labels=LABELS[name])
    config = ExplainConfig(
        run=run,
        out=study / f"explained {name}",
        output=name,
        studies=4,
        clips="score",
        checks={"which": ["label_randomisation"]},
        bootstrap=BootstrapConfig(resamples=100),
    )
    videos = pd.read_csv(explain_run(config) / "saliency.csv", dtype={"study_id": str})
    predicted = pd.read_csv(run / "predictions.csv", dtype={"study_id": str}).set_index("study_id")
    for study_id, own in videos.groupby("study_id"):
        row = predicted.loc[study_id]
        match name:
            case "at_least_severe":
                label, score = row["as_grade"] == "severe", row["as_grade_score_at_least_severe"]
            case "quite bright":
                label, score = row["kind"] == name, row["kind_score_quite_bright"]
            case "any_as":
                label, score = row["any_as"] == 1, row["any_as_score"]
            case _:
                label, score = row[name] > predicted[name].median(), row["velocity_score"]
        assert set(own["label"]) == {int(label)}
        assert own["score"].tolist() == pytest.approx([score] * len(own))
        told = own["clip_logit"].mean()
        is_share = name in {"at_least_severe", "quite bright"}
        # of two classes the log odds are linear in the outputs
        assert (1 / (1 + np.exp(-told)) if is_share else told) == pytest.approx(score, abs=1e-4)
    assert set(videos["label"]) == {0, 1}


def test_nothing_is_left_behind_by_what_is_refused(study, tasks) -> None:
    run = study / "task at_least_severe"
    if not run.is_dir():
        _finetuned(study, tasks, run.name, labels=LABELS["at_least_severe"])
    for changes, message in (
        ({}, "several outputs"),
        ({"output": "mild"}, "expected one of at_least_mild"),
        ({"output": "at_least_mild", "layer": "layer9"}, "layer layer9: the encoder has no such part"),
        ({"output": "at_least_mild", "methods": ["attention_rollout"]}, "no attention to follow"),
    ):
        with pytest.raises(UserError, match=message):
            explain(ExplainConfig(run=run, out=study / "refused", **changes))
    assert not (study / "refused").exists()


@pytest.mark.parametrize("pooling", ["max", "attention"])
def test_pooled_studies_are_explained_as_they_are_predicted(study, tasks, pooling: str) -> None:
    recipe = QUICK.model_copy(update={"pooling": pooling, "steps": 6, "evaluate_every": 6})
    run = _finetuned(study, tasks, f"pooled {pooling}", recipe=recipe)
    folder = explain(
        ExplainConfig(
            run=run,
            out=study / f"explained {pooling}",
            studies=8,
            clips="score",
            checks={"which": ["deletion_insertion"], "fractions": 2},
            bootstrap=BootstrapConfig(resamples=100),
        )
    )
    videos = pd.read_csv(folder / "saliency.csv", dtype={"study_id": str})
    model = Model.load(run)
    assert model.pooling.name == pooling
    for _, own in videos.groupby("study_id"):
        assert own["weight"].sum() == pytest.approx(1, abs=1e-5)
        score = (own["weight"] * own["clip_logit"]).sum()
        assert score == pytest.approx(own["score"].iloc[0], abs=1e-4)
        for row in own.to_dict("records"):
            with np.load(folder / row["folder"] / "maps.npz", allow_pickle=False) as maps:
                # a video that the maximum passes over says nothing
                assert row["weight"] > 0 or not maps["saliency"].any()
