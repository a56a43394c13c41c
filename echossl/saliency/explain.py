"""Saliency maps of a fine-tuned run over test studies that nobody picked, with their checks."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from echossl.config.explain import ExplainConfig
from echossl.errors import UserError
from echossl.files import atomic_path, write_text
from echossl.progress import track
from echossl.runs import RunFolder
from echossl.saliency.believe import Rule, as_markdown, summarise_checks, verdicts
from echossl.saliency.checks import region_checks
from echossl.saliency.controls import Classifier, cascade
from echossl.saliency.figures import Controls, figures_of, shares
from echossl.saliency.maps import Explainer, Maps, Scale
from echossl.saliency.methods import METHODS, cell_pixels
from echossl.saliency.model import Model, empty_clip, explainer_of
from echossl.saliency.pictures import folder_name, heading, write_pictures
from echossl.saliency.studies import STUDY, choose_studies, read_answers, videos_of
from echossl.saliency.time_curve import draw_curves, frame_rows

TABLE_NAME = "saliency.csv"
IDENTITY = ["patient_id", "study_id", "label"]


@dataclass(frozen=True)
class Found:
    """What was worked out of the videos, one list of rows per table."""

    videos: list[dict[str, Any]]
    figures: list[dict[str, Any]]
    frames: list[dict[str, Any]]


def explain(config: ExplainConfig, *, shuffled_head: nn.Module | None = None) -> Path:
    """Write saliency maps of some studies, positive and negative ones, right and wrong ones alike.

    Args:
        config: the settings.
        shuffled_head: a head for the run's own encoder that learned shuffled labels, for the check with them;
            :func:`echossl.study.explain.explain_run` makes it.

    Returns:
        The folder: ``saliency.csv`` with one row per video, a folder per video with ``overlay.mp4``,
        ``strip.png`` (of several methods also ``methods.png``) and ``maps.npz``; ``time_curve.csv`` and
        ``.png``; with a region or checks ``checks.csv`` and ``checks.md``, which says which method may be
        believed; and ``result.json``, with the enrichment inside the region if there is one.

    Raises:
        UserError: if the run is no fine-tuning run with an encoder, or did not predict the split; if labels
            are to be shuffled and no such head is given.
    """
    if (config.out / "run.json").is_file() and _open(config).result is not None:
        return config.out
    # whatever is refused is refused before there is a folder
    model = Model.load(config.run, config.output)
    explainer = explainer_of(model, config)
    controls = _controls(config, explainer, None if shuffled_head is None else model.one(shuffled_head))
    answers = read_answers(config.run / "predictions.csv", model.output, config.split)
    studies = choose_studies(answers, config.studies, seed=config.seed)
    videos = videos_of(explainer.store, model, studies)
    _require_region(explainer, videos)
    run = _open(config)
    found = Found([], [], [])
    for video, maps in track(
        _maps_of(explainer, videos, one_scale=config.clips == "score"),
        "explaining",
        total=len(videos),
        unit="videos",
    ):
        write_pictures(maps, config.out / folder_name(video), explainer.clip, heading(video, model.output))
        _note(found, explainer, controls, video, maps)
    _write_table(pd.DataFrame(found.videos), config.out / TABLE_NAME)
    run.finish(_result(config, explainer, found))
    return config.out


def _open(config: ExplainConfig) -> RunFolder:
    return RunFolder.open(config.out, config, command="explain")


def _require_region(explainer: Explainer, videos: pd.DataFrame) -> None:
    """Raise UserError if a reference has nothing to say of any of the videos."""
    regions = explainer.regions
    if (
        regions is not None
        and regions.table is not None
        and not videos["path"].isin(regions.table["path"]).any()
    ):
        raise UserError(f"{regions.path}: no row is of a video that is explained; check its paths")


def _controls(config: ExplainConfig, explainer: Explainer, shuffled_head: nn.Module | None) -> Controls:
    checks = config.checks
    networks: list[tuple[str, Classifier]] = []
    if "model_randomisation" in checks.which:
        networks = list(cascade(explainer.trained, explainer.fresh, checks.cascade))
    if "label_randomisation" not in checks.which:
        return Controls(checks, networks)
    if shuffled_head is None:
        raise UserError(
            "checks.which: label_randomisation needs a head that learned shuffled labels; "
            "run echossl explain, which trains it"
        )
    other = Classifier(explainer.trained.encoder, shuffled_head).to(config.device)
    return Controls(checks, networks, other)


def _maps_of(
    explainer: Explainer, videos: pd.DataFrame, *, one_scale: bool
) -> Iterator[tuple[pd.Series, Maps]]:
    """The videos with their maps in 0..1: each on its own scale, or those of a study on one."""
    for _, own in videos.groupby(STUDY, sort=False):
        in_study = explainer.in_study([int(row) for row in own["row"]])
        found = []
        scale = Scale()
        for _, video in own.iterrows():
            maps = in_study.explain_video(int(video["row"]), Path(video["path"]))
            if not one_scale:
                scale = Scale()
            scale.see(maps)
            found.append((video, maps, scale))
        yield from ((video, own_scale.applied(maps)) for video, maps, own_scale in found)


def _note(found: Found, explainer: Explainer, controls: Controls, video: pd.Series, maps: Maps) -> None:
    """Add the rows of one video to the tables."""
    name = folder_name(video)
    identity = {key: video[key] for key in IDENTITY}
    columns = ("study_id", "patient_id", "path", "label", "score")
    row = {**{key: video[key] for key in columns}, "clip_logit": maps.logit, "folder": name}
    row |= {} if maps.weight is None else {"weight": maps.weight}
    found.videos.append({**row, **shares(maps)})
    found.figures.extend({**identity, **asdict(one)} for one in figures_of(explainer, maps, controls))
    found.frames.extend({**identity, "folder": name, **frame} for frame in frame_rows(maps))


def _write_table(table: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False)


def _result(config: ExplainConfig, explainer: Explainer, found: Found) -> dict[str, Any]:
    """Write the tables of the checks and of time; what ``result.json`` says."""
    table, frames = pd.DataFrame(found.videos), pd.DataFrame(found.frames)
    _write_table(frames, config.out / "time_curve.csv")
    draw_curves(frames, config.out / "time_curve.png", config.bootstrap)
    result: dict[str, Any] = {
        "num_studies": table["study_id"].nunique(),
        "num_videos": len(table),
        "cell_pixels": _cell_pixels(config, explainer),
    }
    if config.region is not None:
        checks = region_checks(table, config.bootstrap)
        result["region_checks"] = {name: asdict(check) for name, check in checks}
    if config.region is not None or config.checks.which:
        rule = Rule(config.checks.which, config.checks.most_correlation)
        summary = summarise_checks(pd.DataFrame(found.figures), rule, config.bootstrap)
        _write_table(summary, config.out / "checks.csv")
        write_text(config.out / "checks.md", as_markdown(summary, rule, config.bootstrap))
        result["may_be_believed"] = verdicts(summary, rule)
    return result


def _cell_pixels(config: ExplainConfig, explainer: Explainer) -> float:
    """Of the first method."""
    encoder = explainer.trained.encoder
    layer = config.layer or METHODS[config.methods[0].name].layer
    return cell_pixels(encoder, empty_clip(encoder, config.device), layer=layer)
