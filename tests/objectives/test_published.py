"""EchoCLR as published: where its formulas are not those of the defaults, they are those of the paper."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from echossl.config.objective import ContrastiveConfig
from echossl.config.training import PretrainConfig
from echossl.objectives import Contrastive

ITEMS, DIM = 5, 6
PATIENTS = torch.tensor([0, 1, 0, 2, 1])


def published_nt_xent(projections: Tensor, temperature: float) -> Tensor:
    """Every clip but itself and its partner is a negative: the sums of the paper, one by one."""
    units = torch.nn.functional.normalize(projections, dim=-1)
    total = torch.zeros(())
    for item in range(ITEMS):
        for clip in range(2):
            anchor, partner = units[item, clip], units[item, 1 - clip]
            others = [
                units[i, k]
                for i in range(ITEMS)
                for k in range(2)
                if (i, k) not in {(item, clip), (item, 1 - clip)}
            ]
            attract = torch.exp(anchor @ partner / temperature)
            repel = sum(torch.exp(anchor @ other / temperature) for other in others)
            total = total - torch.log(attract / (attract + repel))
    return total / (2 * ITEMS)


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_clips_of_the_same_patient_are_negatives_if_asked_for(temperature: float) -> None:
    projections = torch.randn(
        ITEMS, 2, 1, DIM, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    losses = {}
    for same_patient in ("excluded", "negatives"):
        settings = ContrastiveConfig(same_patient=same_patient, temperature=temperature)
        losses[same_patient] = Contrastive(settings, DIM).compare_all(projections, PATIENTS)[0]
    expected = published_nt_xent(projections[:, :, 0], temperature)
    torch.testing.assert_close(losses["negatives"], expected)
    assert losses["excluded"] < losses["negatives"]
    found, wanted = (torch.autograd.grad(loss, projections)[0] for loss in (losses["negatives"], expected))
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-4)


def test_without_a_patient_twice_in_a_batch_both_are_the_same() -> None:
    projections = torch.randn(ITEMS, 2, 1, DIM, generator=torch.Generator().manual_seed(1))
    first, second = (
        Contrastive(ContrastiveConfig(same_patient=same_patient), DIM).compare_all(
            projections, torch.arange(ITEMS)
        )
        for same_patient in ("excluded", "negatives")
    )
    assert torch.equal(first[0], second[0])


def settings(**changes: object) -> PretrainConfig:
    return PretrainConfig.model_validate({"data": {"manifest": "m.csv", "store": "s"}, "out": "o", **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objectives": [{"name": "contrastive", "same_patient": "negatives"}]}, "set pairs all_pairs"),
        ({"pairs": "all_pairs", "objectives": [{"name": "frame_order"}]}, "positives two_videos"),
        (
            {"pairs": "all_pairs", "objectives": [{"name": "vicreg", "positives": "two_clips"}]},
            "positives two_videos",
        ),
    ],
)
def test_pairs_without_effect_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        settings(**changes)


def test_pairs_that_have_an_effect_are_taken() -> None:
    contrastive = {"name": "contrastive", "same_patient": "negatives"}
    assert settings(pairs="all_pairs", objectives=[contrastive]).objectives[0].same_patient == "negatives"
    assert settings(pairs="all_pairs").objectives[0].same_patient == "excluded"
