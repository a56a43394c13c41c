import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from echossl.config.encoder import Compact3DConfig
from echossl.config.objective import MoCoConfig
from echossl.config.training import OptimiserConfig
from echossl.config.video import ClipConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder, EncoderMetadata, build_encoder
from echossl.objectives.moco import MoCo
from echossl.objectives.momentum_queue import NOBODY, KeyQueue, queue_loss
from echossl.training.checkpoint import Checkpoints
from echossl.training.loop import Learner
from echossl.training.optimiser import build_optimiser

CONFIG = MoCoConfig(queue_size=6, hidden_dim=16, projection_dim=8, momentum=0.9)


def small_encoder() -> Encoder:
    architecture = Compact3DConfig(width=4)
    return build_encoder(EncoderMetadata(architecture=architecture, clip=ClipConfig(num_frames=4), size=16))


def batch_of(step: int, items: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(step)
    clips = torch.rand(items, 2, 1, 4, 16, 16, generator=generator)
    patients = torch.randperm(9, generator=generator)[:items]
    return Batch(clips=clips, patients=patients, videos=torch.zeros(items, 2, dtype=torch.int64), step=step)


def slow_loss(queries: Tensor, own: Tensor, patients: list[int], keys: Tensor, owners: list[int]) -> Tensor:
    """The formula of the paper, one term at a time, at temperature 0.2."""
    losses = []
    for query, key, patient in zip(queries, own, patients, strict=True):
        positive = torch.exp(query @ key / 0.2)
        others = [
            torch.exp(query @ k / 0.2) for k, o in zip(keys, owners, strict=True) if o not in {patient, -1}
        ]
        losses.append(-torch.log(positive / (positive + sum(others))))
    return torch.stack(losses).mean()


def test_loss_and_gradient_equal_the_slow_loop_and_trap_13() -> None:
    """Keys of the query's patient and empty places of the queue are no negatives."""
    torch.manual_seed(0)
    unit = nn.functional.normalize
    queries = unit(torch.randn(3, 5), dim=1).requires_grad_()
    slow = queries.detach().double().requires_grad_()
    own, keys = unit(torch.randn(3, 5), dim=1), unit(torch.randn(6, 5), dim=1)
    patients, owners = [4, 2, 4], [4, 7, NOBODY, 2, 2, NOBODY]
    loss, _ = queue_loss(
        queries,
        own,
        torch.tensor(patients),
        keys=keys,
        key_patients=torch.tensor(owners),
        temperature=0.2,
    )
    expected = slow_loss(slow, own.double(), patients, keys.double(), owners)
    loss.backward()
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(queries.grad, slow.grad.float(), rtol=1e-4, atol=1e-6)


def test_the_queue_is_first_in_first_out() -> None:
    queue, expected = KeyQueue(5, 1), [(NOBODY, 0.0)] * 5
    oldest = 0
    for number, amount in enumerate([2, 2, 3, 5, 1, 7]):
        patients = torch.arange(amount) + 10 * number
        queue.push(patients[:, None] / 2, patients)
        for patient in patients.tolist()[-5:]:
            expected[oldest % 5] = (patient, patient / 2)
            oldest += 1
        found = zip(queue.patients.tolist(), queue.keys[:, 0].tolist(), strict=True)
        assert list(found) == expected


@pytest.mark.parametrize("batch_norm", [False, True])
def test_slow_weights_follow_and_the_queue_fills_after_an_update_only(batch_norm: bool) -> None:
    torch.manual_seed(1)
    encoder, objective = small_encoder(), MoCo(CONFIG.model_copy(update={"batch_norm": batch_norm}), 32)
    assert any(isinstance(layer, nn.BatchNorm1d) for layer in objective.momentum_head) == batch_norm
    objective.attach(encoder)
    learner = Learner(encoder, objective)
    slow, head = copy.deepcopy(objective.momentum_encoder), copy.deepcopy(objective.momentum_head)
    optimiser = build_optimiser(learner, OptimiserConfig(learning_rate=0.1))
    loss, metrics = learner(batch_of(0))
    assert metrics["queue_filled"] == 0
    loss.backward()
    optimiser.step()
    assert (objective.queue.patients == NOBODY).all()
    objective.after_update(encoder)
    assert objective.queue.patients.tolist() == [*batch_of(0).patients.tolist(), NOBODY, NOBODY]
    pairs = [(slow, objective.momentum_encoder, encoder)]
    pairs += [(head, objective.momentum_head, objective.projection_head)]
    for before, after, fast in pairs:
        for old, new, value in zip(before.parameters(), after.parameters(), fast.parameters(), strict=True):
            torch.testing.assert_close(new, 0.9 * old + 0.1 * value)
            assert not new.requires_grad
            assert value.grad is not None


def test_keys_are_of_the_second_clips_in_their_order_and_a_function_of_the_step() -> None:
    torch.manual_seed(2)
    encoder, objective = small_encoder(), MoCo(CONFIG, 32)
    objective.attach(encoder)
    objective.eval()  # so that groups make no difference
    clips = batch_of(0, items=5).clips[:, 1]
    expected = nn.functional.normalize(objective.projection_head(encoder.eval()(clips)), dim=1)
    for step in (0, 1):
        torch.testing.assert_close(objective.keys_of(clips, step=step), expected)
    objective.train()
    assert torch.equal(objective.keys_of(clips, step=3), objective.keys_of(clips, step=3))
    assert not torch.allclose(objective.keys_of(clips, step=3), objective.keys_of(clips, step=4))


def steps(learner: Learner, optimiser: torch.optim.Optimizer, numbers: range) -> None:
    for step in numbers:
        loss, _ = learner(batch_of(step))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        learner.objective.after_update(learner.encoder)


def learner_of(seed: int) -> tuple[Learner, torch.optim.Optimizer]:
    torch.manual_seed(seed)
    encoder, objective = small_encoder(), MoCo(CONFIG, 32)
    objective.attach(encoder)
    learner = Learner(encoder, objective)
    return learner, build_optimiser(learner, OptimiserConfig())


def test_a_checkpoint_carries_queue_and_slow_weights(tmp_path: Path) -> None:
    """Six updates in one go and with a stop after three end bit-equal."""
    whole, optimiser = learner_of(3)
    steps(whole, optimiser, range(6))
    first, optimiser = learner_of(3)
    steps(first, optimiser, range(3))
    Checkpoints(tmp_path, keep=1).save(3, first, optimiser)
    second, optimiser = learner_of(4)
    assert Checkpoints(tmp_path, keep=1).restore(second, optimiser) == 3
    steps(second, optimiser, range(3, 6))
    expected = whole.state_dict()
    assert any("momentum_encoder" in name for name in expected)
    for name, value in second.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_the_slow_encoder_is_neither_trained_nor_part_of_the_encoder() -> None:
    learner, optimiser = learner_of(5)
    trained = {id(value) for group in optimiser.param_groups for value in group["params"]}
    slow = learner.objective.momentum_encoder
    assert isinstance(slow, Encoder)
    assert not trained & {id(value) for value in slow.parameters()}
    assert set(learner.encoder.state_dict()) == set(small_encoder().state_dict())
