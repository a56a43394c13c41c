"""Gated attention over the videos of a study, against a loop over studies written out."""

import pytest
import torch
from torch import Tensor

from echossl.encoders.attention import GatedAttention, study_softmax

STUDIES = torch.tensor([0, 0, 0, 1, 2, 2])


def attention(dim: int = 5) -> GatedAttention:
    module = GatedAttention(dim, 4, seed=1)
    torch.manual_seed(2)
    torch.nn.init.normal_(module.score.weight)
    return module


def slow_pool(module: GatedAttention, features: Tensor, studies: Tensor) -> Tensor:
    pooled = []
    for study in range(int(studies.max()) + 1):
        own = [features[k] for k in range(len(studies)) if studies[k] == study]
        scores = []
        for h in own:
            content = torch.tanh(module.content.weight @ h)
            gate = 1 / (1 + torch.exp(-(module.gate.weight @ h)))
            scores.append(torch.dot(module.score.weight[0], content * gate).exp())
        pooled.append(sum(score / sum(scores) * h for score, h in zip(scores, own, strict=True)))
    return torch.stack(pooled)


def test_equals_a_loop_over_studies() -> None:
    module, features = attention().double(), torch.randn(6, 5, dtype=torch.float64)
    torch.testing.assert_close(module(features, STUDIES), slow_pool(module, features, STUDIES))


def test_gradient_equals_that_of_the_loop() -> None:
    features = torch.randn(6, 5, dtype=torch.float64)
    gradients = []
    for pool in (lambda module: module(features, STUDIES), lambda m: slow_pool(m, features, STUDIES)):
        module = attention().double()
        pool(module).square().sum().backward()
        gradients.append([weight.grad for weight in module.parameters()])
    for found, expected in zip(*gradients, strict=True):
        assert found.abs().max() > 0
        torch.testing.assert_close(found, expected)


def test_order_of_the_videos_does_not_matter() -> None:
    module, features = attention().double(), torch.randn(6, 5, dtype=torch.float64)
    order = torch.tensor([5, 2, 3, 0, 4, 1])
    torch.testing.assert_close(module(features[order], STUDIES[order]), module(features, STUDIES))


def test_a_study_of_one_video_is_that_video() -> None:
    module, features = attention(), torch.randn(6, 5)
    torch.testing.assert_close(module(features, STUDIES)[1], features[3])
    single = torch.arange(6)
    torch.testing.assert_close(module(features, single), features)


def test_it_begins_as_the_mean() -> None:
    features = torch.randn(6, 5)
    pooled = GatedAttention(5, 4)(features, STUDIES)
    torch.testing.assert_close(pooled[0], features[:3].mean(dim=0))
    torch.testing.assert_close(pooled[2], features[4:].mean(dim=0))


def test_a_head_of_the_mean_is_the_mean_of_the_heads() -> None:
    module, features = attention(), torch.randn(6, 5)
    head = torch.nn.Linear(5, 3)
    weights = study_softmax(module.energies(features), STUDIES)
    expected = torch.zeros(3, 3).index_add(0, STUDIES, weights[:, None] * head(features))
    torch.testing.assert_close(head(module(features, STUDIES)), expected)


def test_large_energies_do_not_overflow() -> None:
    weights = study_softmax(torch.tensor([1e4, 1e4 - 1, -1e4, 3.0]), torch.tensor([0, 0, 1, 1]))
    assert weights.tolist() == pytest.approx([0.731059, 0.268941, 0.0, 1.0], abs=1e-5)


def test_weights_depend_on_the_seed_alone_and_leave_the_random_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    first, other = GatedAttention(5, 4, seed=1), GatedAttention(5, 4, seed=2)
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(first.gate.weight, GatedAttention(5, 4, seed=1).gate.weight)
    assert not torch.equal(first.gate.weight, other.gate.weight)
