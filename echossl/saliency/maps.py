"""The clips of one video with their maps: of the classifier, of random weights, and the reference regions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from echossl.augment import to_float
from echossl.config.saliency import AnyMethod
from echossl.config.video import ClipConfig, ClipPolicy
from echossl.data.clips import ClipRequest, read_clip, video_requests
from echossl.data.store import ClipStore
from echossl.saliency.controls import Classifier
from echossl.saliency.in_study import InStudy, PooledHead
from echossl.saliency.region import Regions
from echossl.video.sampling import clip_indices
from echossl.video.sector import find_sector

Floats = npt.NDArray[np.float32]
ByName = dict[str, Floats]


@dataclass(frozen=True)
class Maps:
    """The clips of one video, one after the other, with their maps: (frames, height, width) each.

    Attributes:
        frames: the clips as the network saw them, uint8.
        saliency: by name of the method, at least 0; a study's maps have one scale until they are scaled.
        random_weights: the same of a network with fresh weights.
        sector: (height, width) where there is ultrasound.
        regions: covered share of each pixel by name, the main one first; empty without a reference.
        seconds: (frames,) time of each frame in the video.
        phase: (frames,) place in the beat, 0..1, or None where nobody knows.
        logit: what the classifier says, mean over the clips.
        classifiers: what was explained of each clip.
        num_clips: clips.
        weight: the video's share of the study's score; None where studies are means of their videos.
    """

    frames: npt.NDArray[np.uint8]
    saliency: ByName
    random_weights: ByName
    sector: npt.NDArray[np.bool_]
    regions: ByName
    seconds: npt.NDArray[np.float64]
    phase: npt.NDArray[np.float64] | None
    logit: float
    classifiers: tuple[Classifier, ...]
    num_clips: int = 1
    weight: float | None = None

    @property
    def region(self) -> Floats | None:
        """The main region, or None without a reference."""
        return next(iter(self.regions.values()), None)

    def clips(self) -> list[slice]:
        """The frames of each clip."""
        length = len(self.frames) // self.num_clips
        return [slice(number * length, (number + 1) * length) for number in range(self.num_clips)]

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What goes into ``maps.npz``; the first method and region have the plain names."""
        found: dict[str, npt.NDArray[np.generic]] = {
            "frames": self.frames,
            "sector": self.sector,
            "seconds": self.seconds,
        }
        if self.phase is not None:
            found["phase"] = self.phase
        parts = {"saliency": self.saliency, "random_weights": self.random_weights, "region": self.regions}
        for title, maps in parts.items():
            for number, (name, values) in enumerate(maps.items()):
                found[f"{title}_{name}" if number else title] = values
        return found


@dataclass(frozen=True)
class Explainer:
    """Everything that is the same for all videos.

    Attributes:
        store: the clip store.
        trained: the classifier.
        fresh: the same network with fresh weights.
        methods: what is drawn.
        layer: for methods that take one.
        regions: the reference, if any.
        policy: which clips of a video.
        clips_per_video: how many, where the policy leaves it open.
        policy_seed: seed of the policy ``random``.
        device: where the networks are.
        pooled: how a study's score is made, where it is more than a mean; then :meth:`in_study` has to be
            called for each study.
        heads: of each clip of a study's videos, by row of the store.
    """

    store: ClipStore
    trained: Classifier
    fresh: Classifier
    methods: tuple[AnyMethod, ...]
    layer: str | None = None
    regions: Regions | None = None
    policy: ClipPolicy = "centre"
    clips_per_video: int = 1
    policy_seed: int = 0
    device: str = "cpu"
    pooled: PooledHead | None = None
    heads: Mapping[int, Sequence[InStudy]] = field(default_factory=dict)

    def in_study(self, rows: Sequence[int]) -> "Explainer":
        """Ready for the videos of one study: with pooling, each clip has a head that knows the others."""
        if self.pooled is None:
            return self
        heads = self.pooled.of_clips([self._features(row) for row in rows])
        return replace(self, heads=dict(zip(rows, heads, strict=True)))

    @property
    def clip(self) -> ClipConfig:
        """Which frames make a clip."""
        return self.trained.encoder.metadata.clip

    def requests(self, row: int) -> list[ClipRequest]:
        """The clips of a stored video that are explained."""
        return video_requests(
            self.store,
            row,
            self.clip,
            count=self.clips_per_video,
            policy=self.policy,
            seed=self.policy_seed,
        )

    def tensor(self, frames: npt.NDArray[np.uint8]) -> Tensor:
        """Frames of one clip (frames, height, width) as the network wants them, (1, 1, frames, ...)."""
        return to_float(torch.from_numpy(frames))[None, None].to(self.device)

    def maps_of(self, classifier: Classifier, clips: Tensor, *, either_sign: bool = False) -> ByName:
        """The maps of one clip by every method, (frames, height, width) each, not normalised."""
        draw = classifier.map_of_either_sign if either_sign else classifier.map
        return {one.name: draw(clips, one, self.layer)[0].cpu().numpy() for one in self.methods}

    def explain_video(self, row: int, path: Path) -> Maps:
        """Maps of the chosen clips of a stored video, not normalised."""
        clips = [
            self._explain_clip(request, path, number) for number, request in enumerate(self.requests(row))
        ]
        weight = self.heads[row][0].share() if self.pooled else None
        return replace(_joined(clips), weight=weight)

    def _features(self, row: int) -> Tensor:
        """Of the clips of a video, (clips, dim)."""
        clips = [self.tensor(read_clip(self.store, request, self.clip)) for request in self.requests(row)]
        with torch.no_grad():
            return torch.cat([self.trained.encoder(one) for one in clips])

    def _classifier(self, row: int, clip: int) -> Classifier:
        return Classifier(self.trained.encoder, self.heads[row][clip]) if self.pooled else self.trained

    def _explain_clip(self, request: ClipRequest, path: Path, number: int) -> Maps:
        row, store = request.row, self.store
        classifier = self._classifier(row, number)
        frames = read_clip(store, request, self.clip)
        clips = self.tensor(frames)
        with torch.inference_mode():
            logit = float(self.trained.head(self.trained.encoder(clips)))
        seconds = store.frame_seconds(row)
        indices = clip_indices(seconds, start_seconds=request.start_seconds, clip=self.clip)
        regions, phase = {}, None
        if self.regions is not None:
            regions = self.regions.of(path, store.table.iloc[row], indices, store.size)
            phase = self.regions.phase(path, indices)
        return Maps(
            frames,
            self.maps_of(classifier, clips),
            self.maps_of(self.fresh, clips, either_sign=True),
            find_sector(store.frames(row)).mask,
            regions,
            seconds[indices],
            phase,
            logit,
            (classifier,),
        )


def _joined(clips: list[Maps]) -> Maps:
    """Clips of one video as one."""
    first = clips[0]
    if len(clips) == 1:
        return first
    phases = [one.phase for one in clips if one.phase is not None]
    return replace(
        first,
        frames=np.concatenate([one.frames for one in clips]),
        saliency=_end_to_end([one.saliency for one in clips]),
        random_weights=_end_to_end([one.random_weights for one in clips]),
        regions=_end_to_end([one.regions for one in clips]),
        seconds=np.concatenate([one.seconds for one in clips]),
        phase=np.concatenate(phases) if phases else None,
        logit=float(np.mean([one.logit for one in clips])),
        classifiers=tuple(one.classifiers[0] for one in clips),
        num_clips=len(clips),
    )


def _end_to_end(parts: list[ByName]) -> ByName:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@dataclass
class Scale:
    """The largest value of each map of several videos, so that they can be drawn side by side."""

    largest: dict[tuple[str, str], float] = field(default_factory=dict)

    def see(self, maps: Maps) -> None:
        """Take the values of one more video in."""
        for kind in ("saliency", "random_weights"):
            for name, values in getattr(maps, kind).items():
                own = float(values.max(initial=0))
                self.largest[kind, name] = max(own, self.largest.get((kind, name), 0.0))

    def applied(self, maps: Maps) -> Maps:
        """The maps in 0..1; one that is zero all over stays so."""
        return replace(
            maps,
            saliency={
                name: self._divided("saliency", name, values) for name, values in maps.saliency.items()
            },
            random_weights={
                name: self._divided("random_weights", name, values)
                for name, values in maps.random_weights.items()
            },
        )

    def _divided(self, kind: str, name: str, values: Floats) -> Floats:
        largest = np.float32(self.largest[kind, name])
        return values / largest if largest > 0 else values
