"""Mean, maximum and attention over the videos of a study, against loops over studies written out."""

import numpy as np
import pandas as pd
import pytest
import torch

from echossl.adapt import embed, finetune, load_classifier
from echossl.adapt.budget import draw_budget
from echossl.adapt.frozen import FrozenTrainer
from echossl.adapt.full import FullTrainer
from echossl.adapt.scores import study_outputs
from echossl.adapt.start import start_encoder
from echossl.adapt.study_pooling import pooled_outputs, studies_in_items, studies_of
from echossl.config.adapt import FrozenRecipe, FullRecipe
from echossl.config.recipes import ProbeRecipe
from echossl.encoders.attention import GatedAttention
from echossl.encoders.classifier import load_pooling
from echossl.training.hardware import Hardware

VIDEOS = pd.DataFrame(
    {
        "row": [4, 9, 2, 7, 1, 5],
        "patient_id": ["a", "a", "b", "a", "b", "c"],
        "study_id": ["s1", "s2", "s3", "s1", "s3", "s4"],
    }
)
FROZEN = FrozenRecipe(steps=20, evaluate_every=20, augmented_views=2, pooling="attention", attention_width=8)
FULL = FullRecipe(
    steps=4,
    evaluate_every=4,
    learning_rate=2e-3,
    head_learning_rate=1e-2,
    warmup_steps=1,
    pooling="attention",
)
RECIPES = {
    "frozen": FROZEN,
    "full": FULL,
    "frozen, largest": FrozenRecipe(steps=10, evaluate_every=5, augmented_views=2, pooling="max"),
    "probe, largest": ProbeRecipe(inverse_regularisations=(0.1,), pooling="max"),
}


def attention_of(dim: int) -> GatedAttention:
    attention = GatedAttention(dim, 3, seed=1)
    torch.manual_seed(4)
    torch.nn.init.normal_(attention.score.weight)
    return attention


def slow(pooling: str, outputs: np.ndarray, energies: np.ndarray) -> dict[str, np.ndarray]:
    found = {}
    for study in VIDEOS["study_id"].unique():
        own = [k for k in range(len(VIDEOS)) if VIDEOS["study_id"][k] == study]
        if pooling == "max":
            found[study] = np.array([max(outputs[k, column] for k in own) for column in range(2)])
        else:
            equal = pooling == "mean"
            shares = [1.0 if equal else np.exp(energies[k]) for k in own]
            found[study] = sum(share / sum(shares) * outputs[k] for share, k in zip(shares, own, strict=True))
    return found


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_equals_a_loop_over_studies_in_any_order_of_the_videos(pooling) -> None:
    generator = np.random.default_rng(0)
    outputs, energies = generator.normal(size=(6, 2)), generator.normal(size=6)
    expected = slow(pooling, outputs, energies)
    for order in (np.arange(6), np.array([5, 1, 3, 0, 4, 2])):
        studies, found = study_outputs(
            VIDEOS.iloc[order], outputs[order], pooling=pooling, energies=energies[order]
        )
        assert studies["study_id"].tolist() == VIDEOS["study_id"].iloc[order].unique().tolist()
        for study, row in zip(studies["study_id"], found, strict=True):
            np.testing.assert_allclose(row, expected[study], rtol=1e-12)
    np.testing.assert_allclose(expected["s2"], outputs[1])  # a study of one video is that video


def test_attention_without_energies_is_refused() -> None:
    with pytest.raises(ValueError, match="needs the energies"):
        study_outputs(VIDEOS, np.zeros((6, 1)), pooling="attention")


def test_weighted_outputs_are_the_outputs_of_weighted_features() -> None:
    generator = np.random.default_rng(1)
    clips = [generator.normal(size=(count, 5)).astype(np.float32) for count in (1, 3, 2, 2, 1, 2)]
    head, attention = torch.nn.Linear(5, 2), attention_of(5)
    _, found = pooled_outputs(VIDEOS, clips, head, pooling="attention", attention=attention)
    means = torch.from_numpy(np.stack([own.mean(axis=0) for own in clips]))
    codes = torch.tensor([0, 1, 2, 0, 2, 3])
    expected = head(attention(means, codes)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_clips_of_one_study_in_one_item_belong_together() -> None:
    studies = studies_of(VIDEOS)
    assert studies == {4: 0, 9: 1, 2: 2, 7: 0, 1: 2, 5: 3}
    groups, first = studies_in_items(torch.tensor([[4, 7], [4, 9], [5, 5]]), studies)
    assert groups.tolist() == [0, 0, 1, 2, 3, 3]
    assert first.tolist() == [0, 2, 3, 4]


def frozen_trainer(toy, tmp_path):
    config = toy.config(tmp_path, recipe=FROZEN)
    budget = draw_budget(toy.table, config.labels, split="train")
    hardware = Hardware.resolve(config.hardware)
    start = start_encoder(config, toy.store, toy.table)
    return FrozenTrainer(start, toy.store, budget, config=config, recipe=FROZEN, hardware=hardware), budget


def test_items_of_attention_are_whole_studies(toy, tmp_path) -> None:
    trainer, budget = frozen_trainer(toy, tmp_path)
    known = budget.videos.set_index("row")
    for batch in trainer._batches(budget.videos):
        for item in range(len(batch.targets)):
            rows = batch.rows[batch.items == item].tolist()
            studies = known.loc[rows, "study_id"].unique()
            assert len(studies) == 1
            assert sorted(rows) == sorted(known.index[known["study_id"] == studies[0]])
            assert batch.targets[item, 0] == known.loc[rows[0], "target0"]


def test_attention_is_trained_and_begins_anew_each_time(toy, tmp_path) -> None:
    trainer, budget = frozen_trainer(toy, tmp_path)

    def train() -> dict[str, torch.Tensor]:
        for _ in trainer.updates(budget.videos):
            pass
        return {name: value.clone() for name, value in trainer.attention.state_dict().items()}

    first = train()
    fresh = GatedAttention(trainer.encoder.dim, 8, seed=0).state_dict()
    assert all(not torch.equal(first[name], fresh[name]) for name in fresh)
    again = train()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_folded_attention_gives_the_weights_of_scaled_features(toy, tmp_path) -> None:
    trainer, budget = frozen_trainer(toy, tmp_path)
    for _ in trainer.updates(budget.videos):
        pass
    features = torch.randn(6, trainer.encoder.dim)
    expected = trainer.attention.energies(features / trainer._scale)
    torch.testing.assert_close(trainer.pooling().attention.energies(features), expected)


def test_updates_of_all_layers_equal_a_loop_written_out(toy, tmp_path) -> None:
    config = toy.config(tmp_path, recipe=FULL)
    budget = draw_budget(toy.table, config.labels, split="train")
    hardware = Hardware.resolve(config.hardware)
    start = start_encoder(config, toy.store, toy.table)
    trainer = FullTrainer(start, toy.store, config=config, recipe=FULL, hardware=hardware)
    labelled, studies = trainer.begin(budget.videos), studies_of(budget.videos)
    torch.nn.init.normal_(trainer.attention.score.weight)
    batch = next(iter(trainer._batches(budget.videos)))
    found = trainer._loss(batch, labelled, studies, None)
    clips = trainer.augmentation(batch.clips, step=batch.step)
    features = trainer.encoder(clips.flatten(0, 1)).unflatten(0, (-1, 2))
    labels = budget.videos.set_index("row")["target0"]
    names = budget.videos.set_index("row")["study_id"]
    losses = []
    for own, rows in zip(features, batch.videos.tolist(), strict=True):
        assert names[rows[0]] == names[rows[1]]  # one study per patient here
        weights = trainer.attention.energies(own).softmax(0)
        logit = trainer.head(weights @ own)[0]
        losses.append(torch.nn.functional.softplus(logit if labels[rows[0]] == 0 else -logit))
    torch.testing.assert_close(found, torch.stack(losses).mean())


@pytest.mark.parametrize("name", list(RECIPES))
def test_saved_classifier_and_pooling_give_the_written_scores(toy, tmp_path, name) -> None:
    recipe = RECIPES[name]
    path = finetune(toy.config(tmp_path / "run", recipe=recipe))
    table = pd.read_csv(path, dtype={"study_id": str, "patient_id": str})
    (encoder, head, _), pooling = load_classifier(tmp_path / "run"), load_pooling(tmp_path / "run")
    assert pooling.name == recipe.pooling
    hardware = Hardware.resolve(toy.config(tmp_path).hardware)
    videos = toy.table[toy.table["study_id"].isin(table["study_id"])]
    features = embed(encoder, toy.store, videos["row"].tolist(), clips_per_video=2, hardware=hardware)
    studies, outputs = pooled_outputs(
        videos, features, head, pooling=pooling.name, attention=pooling.attention
    )
    scores = dict(zip(studies["study_id"], outputs[:, 0], strict=True))
    np.testing.assert_allclose(table["severe_as_score"], table["study_id"].map(scores), atol=1e-4)


def test_a_file_without_pooling_means_the_mean(toy, tmp_path) -> None:
    finetune(toy.config(tmp_path / "run", recipe=ProbeRecipe(inverse_regularisations=(0.1,))))
    assert load_pooling(tmp_path / "run").name == "mean"


def test_width_of_no_attention_is_refused() -> None:
    with pytest.raises(ValueError, match="attention_width has no effect"):
        FrozenRecipe(attention_width=16)
