"""Contrastive objective: clips of one patient attract, clips of different patients repel."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echossl.config.objective import ContrastiveConfig
from echossl.data.clips import Batch
from echossl.encoders import Encoder
from echossl.errors import UserError
from echossl.objectives.base import PartwiseObjective
from echossl.objectives.gather import gathered
from echossl.objectives.heads import projection_head
from echossl.objectives.matched import matched_nt_xent
from echossl.objectives.similarity import dense_nt_xent, nt_xent

# 1 / temperature is kept within these bounds where it is learned, as in CLIP (arXiv 2103.00020, section 2.5)
LEAST_SCALE, MOST_SCALE = 1.0, 100.0


class Contrastive(PartwiseObjective):
    """NT-Xent on projections of the encoder's features (SimCLR, Chen et al., arXiv 2002.05709).

    With ``positives: two_videos`` the pair is two videos of one patient (Holste et al., arXiv 2207.11581).
    With ``dense_grid`` the loss is taken per cell of the feature map, one projection head for all cells; the
    encoder's vector stays the mean of the map.

    Args:
        config: temperature, grid, sizes of the projection head.
        encoder_dim: length of the encoder's vectors.
    """

    def __init__(self, config: ContrastiveConfig, encoder_dim: int) -> None:
        super().__init__()
        self.config = config
        self.positives = config.positives
        self.num_clips = config.num_clips
        sizes = (encoder_dim, config.hidden_dim, config.projection_dim)
        self.projection_head = projection_head(sizes, batch_norm=config.batch_norm)
        self.global_head = (
            projection_head(sizes, batch_norm=config.batch_norm) if config.global_weight else None
        )
        start = torch.tensor(-math.log(config.temperature))
        self.log_scale = nn.Parameter(start) if config.learn_temperature else None

    def project(self, encoder: Encoder, batch: Batch, items: slice) -> Tensor:
        """What is compared of each clip of the items: (items, num_clips, places, projection_dim)."""
        clips = batch.clips[items, : self.num_clips]
        places = self.places_of(encoder, clips.flatten(0, 1))  # (items x k, places, d)
        return places.reshape(*clips.shape[:2], *places.shape[1:])

    def compare(self, projections: Tensor, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss, and ``pair_accuracy``: how often the positive is the nearest of all candidates.

        An accuracy near 1 says that the pairs are too easy, not that the encoder is good.
        """
        return self.compare_all(gathered(projections), gathered(batch.patients))

    def places_of(self, encoder: Encoder, clips: Tensor) -> Tensor:
        """Projections of clips: (n, c, t, h, w) → (n, places, projection_dim).

        One place, the whole clip, without ``dense_grid``; else the cells row by row and, with a
        ``global_weight``, the whole clip as the last. Behind each projection stands what cells are matched
        and left out by, if they are: the cell's features without gradient, and 1 where it shows something.
        """
        if not self.config.dense_grid:
            vectors: Tensor = self.projection_head(encoder(clips))
            return vectors[:, None]
        features = encoder.feature_map(clips)
        cells = grid_cells(features, self.config.dense_grid)  # (n, cells, dim)
        places: Tensor = self.projection_head(cells.flatten(0, 1)).unflatten(0, cells.shape[:2])
        if self.config.dense_match == "best":
            places = torch.cat((places.float(), cells.detach()), dim=2)
        if self.config.skip_blank_cells:
            seen = visible_cells(clips, self.config.dense_grid)[..., None]
            places = torch.cat((places.float(), seen.float()), dim=2)
        if self.global_head is None:
            return places
        whole = self.global_head(features.mean(dim=(2, 3, 4)))
        whole = F.pad(whole, (0, places.shape[2] - whole.shape[1])).to(places.dtype)
        return torch.cat((places, whole[:, None]), dim=1)

    def compare_all(self, projections: Tensor, patients: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and metrics of the batch of all processes: projections (n, k, places, d), patients (n,)."""
        if self.config.same_patient == "negatives":
            patients = torch.arange(len(patients), device=patients.device)  # as if each item were another's
        temperature = self.config.temperature if self.log_scale is None else torch.exp(-self.log_scale)
        num_cells = self.config.dense_grid**2
        projections, details = projections.tensor_split((self.config.projection_dim,), dim=3)
        if num_cells:
            cells, details = projections[:, :, :num_cells], details[:, :, :num_cells].detach()
            loss, accuracy = self._compare_cells(cells, details, patients, temperature)
        else:
            loss, accuracy = nt_xent(projections[:, :, 0], patients, temperature=temperature)
        used = torch.as_tensor(temperature, dtype=loss.dtype, device=loss.device).detach()
        metrics = {"pair_accuracy": accuracy, "temperature": used}
        if self.global_head is not None:
            whole, metrics["global_accuracy"] = nt_xent(
                projections[:, :, -1], patients, temperature=temperature
            )
            loss = loss + self.config.global_weight * whole
        return loss, metrics

    def _compare_cells(
        self, cells: Tensor, details: Tensor, patients: Tensor, temperature: float | Tensor
    ) -> tuple[Tensor, Tensor]:
        """Cells (n, k, cells, d), and what stands behind each, features and whether it is seen."""
        best, skip = self.config.dense_match == "best", self.config.skip_blank_cells
        if not (best or skip):
            return dense_nt_xent(cells, patients, temperature=temperature)
        features = details[..., :-1] if skip else details
        return matched_nt_xent(
            cells,
            patients,
            temperature=temperature,
            features=features if best else None,
            visible=details[..., -1] > 0 if skip else None,
        )

    def after_update(self, encoder: Encoder) -> None:
        """Keep a learned temperature within 0.01..1."""
        del encoder
        if self.log_scale is not None:
            with torch.no_grad():
                self.log_scale.clamp_(math.log(LEAST_SCALE), math.log(MOST_SCALE))


def grid_cells(features: Tensor, grid: int) -> Tensor:
    """The mean of a feature map over time and over the cells of a grid.

    Args:
        features: (n, dim, frames, height, width).
        grid: cells along each side.

    Returns:
        (n, grid x grid, dim), rows from the top, each from the left.

    Raises:
        UserError: if the map has fewer rows or columns than the grid.
    """
    height, width = features.shape[-2:]
    if grid > min(height, width):
        raise UserError(
            f"objective contrastive: dense_grid is {grid}, but the encoder's feature map has {height} x "
            f"{width} places; set dense_grid to {min(height, width)} or less, or prepare larger pictures"
        )
    return F.adaptive_avg_pool2d(features.mean(dim=2), grid).flatten(2).transpose(1, 2)


def visible_cells(clips: Tensor, grid: int) -> Tensor:
    """Which cells of a grid show anything in any frame: (n, c, t, h, w) in 0..1 → (n, grid x grid) bool."""
    brightest = clips.detach().amax(dim=(1, 2))[:, None]  # (n, 1, h, w)
    return F.adaptive_max_pool2d(brightest, grid).flatten(1) > 0
