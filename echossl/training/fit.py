"""Whether encoder and objectives can take the clips of a run, found out before any work is done."""

import copy

import torch

from echossl.data.clips import Batch
from echossl.objectives import Objective, WeightedSum
from echossl.objectives.base import PartwiseObjective
from echossl.training.learner import Learner


def require_shapes(learner: Learner) -> None:
    """Let one item pass through a learner as in a step, its shapes alone, without memory or arithmetic.

    Some objectives show parts of a clip, others look at parts of a feature map: only together do network and
    objective tell which clips fit.

    Args:
        learner: left as it is.

    Raises:
        UserError: if the network cannot take the clips, or an objective what the network makes of them.
    """
    metadata = learner.encoder.metadata
    shapes = copy.deepcopy(learner).to("meta").eval()
    size = (metadata.channels, metadata.clip.num_frames, metadata.size, metadata.size)
    clips = torch.empty(1, learner.objective.num_clips, *size, device="meta")
    batch = Batch(
        clips,
        patients=torch.zeros(1, dtype=torch.int64),
        videos=torch.zeros(clips.shape[:2], dtype=torch.int64),
        reports=("normal",) if learner.objective.reads_reports else None,
        present=torch.ones(clips.shape[:2], dtype=torch.bool) if learner.objective.reads_reports else None,
    )
    with torch.no_grad():
        for part in _parts(shapes.objective):
            part.project(shapes.encoder, batch, slice(None))


def _parts(objective: Objective) -> list[PartwiseObjective]:
    parts = [objective]
    if isinstance(objective, WeightedSum):
        parts = [part for _, part in objective.named_parts()]
    return [part for part in parts if isinstance(part, PartwiseObjective)]
