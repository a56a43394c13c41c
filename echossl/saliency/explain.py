"""Saliency maps of a fine-tuned run over test studies that nobody picked, with their checks."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from echossl.config.adapt import FinetuneConfig
from echossl.config.explain import ExplainConfig
from echossl.data.manifest import read_manifest
from echossl.data.order import shuffled
from echossl.data.store import ClipStore
from echossl.encoders.classifier import load_classifier
from echossl.errors import RunFolderError, UserError
from echossl.evaluation.study import Predictions, read_predictions
from echossl.files import atomic_path, write_text
from echossl.progress import track
from echossl.runs import RunFolder
from echossl.saliency.believe import Rule, as_markdown, summarise_checks, verdicts
from echossl.saliency.checks import region_checks
from echossl.saliency.controls import Classifier, cascade, random_weights
from echossl.saliency.figures import Controls, figures_of, shares
from echossl.saliency.maps import Explainer, Maps, Scale
from echossl.saliency.methods import METHODS, cell_pixels
from echossl.saliency.pictures import folder_name, write_pictures
from echossl.saliency.region import Regions
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
    run = RunFolder.open(config.out, config, command="explain")
    if run.result is not None:
        return config.out
    finetuned = finetune_config(config.run)
    explainer = _explainer(config, finetuned)
    controls = _controls(config, explainer, shuffled_head)
    predictions = read_predictions(config.run / "predictions.csv", finetuned.labels.column).only(config.split)
    studies = choose_studies(predictions, config.studies, seed=config.seed)
    videos = _videos(explainer.store, finetuned, studies)
    found = Found([], [], [])
    for video, maps in track(
        _maps_of(explainer, videos, one_scale=config.clips == "score"),
        "explaining",
        total=len(videos),
        unit="videos",
    ):
        _note(found, explainer, controls, video, maps, config.out)
    _write_table(pd.DataFrame(found.videos), config.out / TABLE_NAME)
    run.finish(_result(config, explainer, found))
    return config.out


def choose_studies(predictions: Predictions, count: int, *, seed: int) -> pd.DataFrame:
    """Draw studies, half of them positive as far as there are; their scores play no part.

    Args:
        predictions: of one split.
        count: studies, at most all; of an odd number one more is negative.
        seed: which draw; a larger ``count`` holds the studies of a smaller one.

    Returns:
        ``study_id, patient_id, label, score``, positive studies first.
    """
    table = pd.DataFrame(
        {
            "study_id": predictions.studies,
            "patient_id": predictions.patients,
            "label": predictions.labels,
            "score": predictions.scores,
        }
    )
    by_class = {
        label: shuffled(table.loc[table["label"] == label, "study_id"], "explain", seed) for label in (1, 0)
    }
    positives = min(len(by_class[1]), max(count // 2, count - len(by_class[0])))
    chosen = by_class[1][:positives] + by_class[0][: count - positives]
    return table.set_index("study_id").loc[chosen].reset_index()


def finetune_config(run: Path) -> FinetuneConfig:
    """The settings of a fine-tuning run.

    Raises:
        RunFolderError: if the folder holds something else.
    """
    record = RunFolder(run).record
    if record["command"] != "finetune":
        raise RunFolderError(f"{run}: holds a run of {record['command']}; give one of echossl finetune")
    return FinetuneConfig.model_validate(record["config"])


def _explainer(config: ExplainConfig, finetuned: FinetuneConfig) -> Explainer:
    encoder, head, task = load_classifier(config.run)
    if task.name != "binary":
        raise UserError(f"{config.run}: learned the {task.name} task; saliency maps are of binary ones")
    if config.device == "cuda" and not torch.cuda.is_available():
        raise UserError("device: found cuda, but torch sees no GPU; take cpu")
    of_score = config.clips == "score"
    return Explainer(
        ClipStore.open(finetuned.data.store),
        Classifier(encoder, head).to(config.device),
        Classifier(*random_weights(encoder, seed=config.seed)).to(config.device),
        config.methods,
        layer=config.layer,
        regions=None if config.region is None else Regions.open(config.region),
        policy=finetuned.clip_policy if of_score else "centre",
        clips_per_video=finetuned.clips_per_video if of_score else 1,
        policy_seed=finetuned.seed,
        device=config.device,
    )


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


def _videos(store: ClipStore, finetuned: FinetuneConfig, studies: pd.DataFrame) -> pd.DataFrame:
    """The videos of the studies, in the order of the studies."""
    column = finetuned.labels.column
    manifest = read_manifest(finetuned.data.manifest, binary_columns=[column], files_needed=False)
    table = store.rows_for(manifest)
    assessed = table.loc[table[column].notna(), ["study_id", "path", "row"]]
    videos = studies.merge(assessed, on="study_id", how="left", validate="one_to_many")
    if videos["row"].isna().any():
        raise UserError(
            f"{finetuned.data.manifest}: study {videos.loc[videos['row'].isna(), 'study_id'].iloc[0]} was "
            "predicted but is not there any more; run echossl finetune again"
        )
    return videos


def _maps_of(
    explainer: Explainer, videos: pd.DataFrame, *, one_scale: bool
) -> Iterator[tuple[pd.Series, Maps]]:
    """The videos with their maps in 0..1: each on its own scale, or those of a study on one."""
    for _, own in videos.groupby("study_id", sort=False):
        found = []
        scale = Scale()
        for _, video in own.iterrows():
            maps = explainer.explain_video(int(video["row"]), Path(video["path"]))
            if not one_scale:
                scale = Scale()
            scale.see(maps)
            found.append((video, maps, scale))
        yield from ((video, own_scale.applied(maps)) for video, maps, own_scale in found)


def _note(
    found: Found, explainer: Explainer, controls: Controls, video: pd.Series, maps: Maps, out: Path
) -> None:
    """Write the pictures of one video, and add its rows to the tables."""
    name = folder_name(video)
    write_pictures(maps, out / name, explainer.clip)
    identity = {key: video[key] for key in IDENTITY}
    columns = ("study_id", "patient_id", "path", "label", "score")
    row = {**{key: video[key] for key in columns}, "clip_logit": maps.logit, "folder": name}
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
        if "inside_share" not in table:
            raise UserError(f"{config.region}: no row is of a video that is explained; check its paths")
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
    metadata = explainer.trained.encoder.metadata
    clips = torch.zeros(1, metadata.channels, metadata.clip.num_frames, metadata.size, metadata.size)
    layer = config.layer or METHODS[config.methods[0].name].layer
    return cell_pixels(explainer.trained.encoder, clips.to(config.device), layer=layer)
