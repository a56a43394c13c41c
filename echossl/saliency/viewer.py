"""A fine-tuned run to look at: its studies, and any video with its map, at any layer; for notebooks.

Nothing here needs a notebook: pictures are Pillow images, films know their own HTML.
"""

import base64
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from torch import nn

from echossl.config.explain import ExplainConfig
from echossl.config.saliency import MethodSettings
from echossl.encoders import Encoder
from echossl.errors import UserError
from echossl.saliency.captions import moments, with_heading, with_notes
from echossl.saliency.maps import Explainer, Maps, Scale
from echossl.saliency.methods import METHODS, cell_pixels
from echossl.saliency.methods.layers import INPUT, LAST
from echossl.saliency.model import Model, empty_clip, explainer_of
from echossl.saliency.pictures import DRAWN_COVERAGE, FILM_SIDE_PIXELS, as_drawn, heading, what_one_is
from echossl.saliency.render import overlay, strips, with_legend, write_mp4
from echossl.saliency.studies import choose_studies, read_answers, videos_of


@dataclass(frozen=True)
class Film:
    """An MP4 film that a notebook plays.

    Attributes:
        content: the file.
        words: what it shows, for those who cannot see it.
        poster: PNG of its middle picture, shown until it plays.
    """

    content: bytes
    words: str
    poster: bytes

    def _repr_html_(self) -> str:
        source, poster = (base64.b64encode(each).decode() for each in (self.content, self.poster))
        return (
            f'<video controls loop muted aria-label="{self.words}" '
            f'poster="data:image/png;base64,{poster}" src="data:video/mp4;base64,{source}"></video>'
        )


@dataclass(frozen=True)
class Viewer:
    """A run with the settings of its maps.

    Attributes:
        model: what is explained.
        explainer: how.
        videos: of all studies of the split with a label: ``study_id, patient_id, label, score, path, row``.
    """

    model: Model
    explainer: Explainer
    videos: pd.DataFrame

    @classmethod
    def open(
        cls,
        run: Path | str,
        *,
        method: MethodSettings | str = "grad_cam",
        layer: str | None = None,
        region: Path | str | None = None,
        output: str | None = None,
        split: str = "test",
    ) -> "Viewer":
        """Read a run of ``echossl finetune``.

        Args:
            run: its folder.
            method: name of a method, or its settings.
            layer: see :func:`layers_of`; None takes the method's own.
            region: a table of boxes or masks, or a phantom folder.
            output: which answer is explained, where there are several.
            split: whose studies.

        Raises:
            UserError: as ``echossl explain`` does.
        """
        # nothing is written: the folder is that of a command that is not run
        settings = {"run": run, "out": Path(run) / "saliency", "methods": [method], "split": split}
        config = ExplainConfig.model_validate(settings | {"layer": layer, "region": region, "output": output})
        model = Model.load(config.run, config.output)
        explainer = explainer_of(model, config)
        answers = read_answers(config.run / "predictions.csv", model.output, split)
        studies = choose_studies(answers, len(answers.studies), seed=config.seed)
        return cls(model, explainer, videos_of(explainer.store, model, studies))

    @property
    def studies(self) -> pd.DataFrame:
        """``study_id, patient_id, label, score``, one row per study."""
        columns = ["study_id", "patient_id", "label", "score"]
        return self.videos[columns].drop_duplicates(ignore_index=True)

    def at_layer(self, layer: str | None) -> "Viewer":
        """The same at another layer; None is the method's own."""
        return replace(self, explainer=replace(self.explainer, layer=layer))

    def video(self, study_id: str, number: int = 0) -> pd.Series:
        """A video of a study.

        Raises:
            UserError: if there is no such study or video.
        """
        own = self.videos[self.videos["study_id"] == study_id]
        if not 0 <= number < len(own):
            raise UserError(
                f"study {study_id}: found {len(own)} videos, asked for number {number} (the first is 0); "
                f"the studies are {', '.join(self.studies['study_id'].head())}, ..."
            )
        return own.iloc[number]

    def maps(self, study_id: str, number: int = 0) -> Maps:
        """The clip in the middle of a video with its map in 0..1."""
        video = self.video(study_id, number)
        rows = self.videos.loc[self.videos["study_id"] == study_id, "row"]
        explainer = self.explainer.in_study([int(row) for row in rows])
        maps = explainer.explain_video(int(video["row"]), Path(video["path"]))
        scale = Scale()
        scale.see(maps)
        return scale.applied(maps)

    def pictures(self, study_id: str, number: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """Every frame under its map with words and legend, (frames, height, width, 3)."""
        maps, method = self.maps(study_id, number), self.explainer.methods[0].name
        region = None if maps.region is None else maps.region >= DRAWN_COVERAGE
        drawn = overlay(
            maps.frames,
            as_drawn(method, maps.saliency[method]),
            region=region,
            smallest_side=FILM_SIDE_PIXELS,
        )
        noted = with_notes(drawn, moments(maps.seconds, maps.phase))
        titled = with_heading(noted, [*heading(self.video(study_id, number), self.model.output), self.title])
        return with_legend(titled, with_region=region is not None, top=what_one_is(method))

    @property
    def title(self) -> str:
        """Method and layer in words."""
        method = METHODS[self.explainer.methods[0].name]
        return f"{method.title} of {self.explainer.layer or method.layer}"

    def film(self, study_id: str, number: int = 0) -> Film:
        """The clip in the middle of a video under its map."""
        clip, video = self.explainer.clip, self.video(study_id, number)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "film.mp4"
            rate = clip.num_frames / clip.clip_seconds
            pictures = self.pictures(study_id, number)
            write_mp4(pictures, path, frames_per_second=rate)
            content = path.read_bytes()
        poster = BytesIO()
        Image.fromarray(pictures[len(pictures) // 2]).save(poster, format="PNG")
        words = "; ".join([*heading(video, self.model.output), self.title])
        return Film(content, words, poster.getvalue())


def side_by_side(
    viewers: Mapping[str, Viewer], study_id: str, number: int = 0, *, columns: int = 6
) -> Image.Image:
    """Stills of one video under the maps of several models, methods or layers, one row each.

    Args:
        viewers: by name, all of one store and one length of clip.
        study_id: the study.
        number: the video.
        columns: number of stills.

    Raises:
        UserError: if the models do not see the same frames.
    """
    every = {name: viewer.maps(study_id, number) for name, viewer in viewers.items()}
    first, *others = every.values()
    if any(not np.array_equal(first.frames, other.frames) for other in others):
        raise UserError(
            f"study {study_id}: {', '.join(viewers)} do not see the same frames; compare models of one clip "
            "store and one length of clips"
        )
    rows = {}
    for name, viewer in viewers.items():
        method, video = viewer.explainer.methods[0].name, viewer.video(study_id, number)
        title = f"{name}: score {video['score']:.2f}; {viewer.title}, 1 = {what_one_is(method)}"
        rows[title] = as_drawn(method, every[name].saliency[method])
    region = None if first.region is None else first.region >= DRAWN_COVERAGE
    notes = moments(first.seconds, first.phase)
    return Image.fromarray(strips(first.frames, rows, region=region, columns=columns, notes=notes))


def layers_of(encoder: Encoder) -> dict[str, float]:
    """The layers that can be looked at from outside in, with the height of a cell in pixels of the clip.

    Only the outermost parts and the steps of what holds nothing else are listed; any name of
    ``encoder.named_modules()`` whose output has time and place may be given as a layer.
    """
    names = [INPUT, *_outermost(encoder), LAST]
    clip = empty_clip(encoder, str(next(encoder.parameters()).device))
    found = {}
    for name in names:
        try:
            found[name] = cell_pixels(encoder, clip, layer=name)
        except UserError:  # no map has come by here
            continue
    return found


def _outermost(part: nn.Module) -> Sequence[str]:
    children = list(part.named_children())
    if len(children) == 1:
        name, only = children[0]
        return [f"{name}.{below}" for below in _outermost(only)] or [name]
    return [name for name, _ in children]


def read_checks(folder: Path | str, studies: str = "all") -> pd.DataFrame:
    """The checks that ``echossl explain RUN --checks`` left: a row per method, a column per check.

    Args:
        folder: what it wrote.
        studies: ``all``, ``positive`` or ``negative``.

    Raises:
        UserError: if there are none.
    """
    path = Path(folder) / "checks.csv"
    if not path.is_file():
        raise UserError(f"{path}: no such file; run echossl explain RUN --methods all --checks")
    table = pd.read_csv(path, keep_default_na=False)
    own = table[table["studies"] == studies].astype({"value": float})
    own = own.assign(check=(own["check"] + " " + own["region"]).str.strip().str.replace("_", " "))
    wide = own.pivot_table(index="method", columns="check", values="value", sort=False)
    return wide.rename(index={name: METHODS[name].title for name in METHODS})
