"""Saliency maps of a fine-tuned run over test studies that nobody picked, with their checks."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from echossl.config.adapt import FinetuneConfig
from echossl.config.explain import ExplainConfig
from echossl.config.video import ClipConfig
from echossl.data.manifest import read_manifest
from echossl.data.order import shuffled
from echossl.data.store import ClipStore
from echossl.encoders.classifier import load_classifier
from echossl.errors import RunFolderError, UserError
from echossl.evaluation.study import Predictions, read_predictions
from echossl.files import atomic_path
from echossl.progress import track
from echossl.runs import RunFolder
from echossl.saliency.checks import rank_correlation, region_checks
from echossl.saliency.maps import Explainer, Maps, random_weights, region_shares
from echossl.saliency.methods import cell_pixels
from echossl.saliency.render import overlay, strip, with_legend, write_mp4, write_png

TABLE_NAME = "saliency.csv"
# below this covered share a pixel is drawn as outside of the region
DRAWN_COVERAGE = 0.25


def explain(config: ExplainConfig) -> Path:
    """Write saliency maps of some studies, positive and negative ones, right and wrong ones alike.

    Returns:
        The folder: ``saliency.csv`` with one row per video, a folder per video with ``overlay.mp4``,
        ``strip.png`` and ``maps.npz``, and ``result.json``, with the enrichment inside the region if there is
        one.

    Raises:
        UserError: if the run is no fine-tuning run with an encoder, or did not predict the split.
    """
    run = RunFolder.open(config.out, config, command="explain")
    if run.result is not None:
        return config.out
    finetuned = _finetune_config(config.run)
    explainer = _explainer(config, finetuned)
    predictions = read_predictions(config.run / "predictions.csv", finetuned.labels.column).only(config.split)
    studies = choose_studies(predictions, config.studies, seed=config.seed)
    videos = _videos(explainer.store, finetuned, studies)
    jobs = track(videos.iterrows(), "explaining", total=len(videos), unit="videos")
    table = pd.DataFrame([_explain_one(explainer, video, config.out) for _, video in jobs])
    with atomic_path(config.out / TABLE_NAME) as temporary:
        table.to_csv(temporary, index=False)
    run.finish(_result(config, explainer, table))
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


def _finetune_config(run: Path) -> FinetuneConfig:
    record = RunFolder(run).record
    if record["command"] != "finetune":
        raise RunFolderError(f"{run}: holds a run of {record['command']}; give one of echossl finetune")
    return FinetuneConfig.model_validate(record["config"])


def _explainer(config: ExplainConfig, finetuned: FinetuneConfig) -> Explainer:
    encoder, head, task = load_classifier(config.run)
    if task.name != "binary":
        raise UserError(f"{config.run}: learned the {task.name} task; saliency maps are of binary ones")
    store = ClipStore.open(finetuned.data.store)
    others = random_weights(encoder, seed=config.seed)
    return Explainer(store, encoder, head, *others, layer=config.layer, region=config.region)


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


def _explain_one(explainer: Explainer, video: pd.Series, out: Path) -> dict[str, Any]:
    """Explain one video, write its pictures, return its row of the table."""
    path = Path(video["path"])
    maps = explainer.explain_video(int(video["row"]), path)
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", f"{video['study_id']}-{path.stem}-{video['row']}")
    _write_pictures(maps, out / name, explainer.clip)
    return {
        **{key: video[key] for key in ("study_id", "patient_id", "path", "label", "score")},
        "clip_logit": maps.logit,
        "folder": name,
        "random_weights_correlation": rank_correlation(maps.saliency, maps.random_weights),
        **region_shares(maps),
    }


def _write_pictures(maps: Maps, folder: Path, clip: ClipConfig) -> None:
    drawn = None if maps.region is None else maps.region >= DRAWN_COVERAGE
    with_region = drawn is not None
    write_png(strip(maps.frames, maps.saliency, region=drawn), folder / "strip.png")
    film = with_legend(overlay(maps.frames, maps.saliency, region=drawn), with_region=with_region)
    write_mp4(film, folder / "overlay.mp4", frames_per_second=clip.num_frames / clip.clip_seconds)
    arrays = {name: value for name, value in vars(maps).items() if isinstance(value, np.ndarray)}
    with atomic_path(folder / "maps.npz") as temporary:
        np.savez_compressed(temporary, allow_pickle=False, **arrays)


def _result(config: ExplainConfig, explainer: Explainer, table: pd.DataFrame) -> dict[str, Any]:
    metadata = explainer.encoder.metadata
    clips = torch.zeros(1, metadata.channels, metadata.clip.num_frames, metadata.size, metadata.size)
    result: dict[str, Any] = {
        "num_studies": table["study_id"].nunique(),
        "num_videos": len(table),
        "cell_pixels": cell_pixels(explainer.encoder, clips, layer=config.layer),
    }
    if config.region is not None:
        checks = region_checks(table, config.bootstrap)
        result["region_checks"] = {name: asdict(check) for name, check in checks}
    return result
