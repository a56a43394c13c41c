"""New studies through a model: the same scores as the run's own, and a reason for whatever is refused."""

import json
import shutil
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from echossl.config.predict import PredictConfig, VideoUse
from echossl.config.video import ClipConfig
from echossl.data.manifest import write_manifest
from echossl.encoders.files import read_metadata
from echossl.encoders.use import USE_KEY, load_use
from echossl.errors import RunFolderError, UserError
from echossl.predict import predict
from echossl.predict.videos import _reasons, _unlike, note_of
from echossl.video.reader import open_video

CPU = {"workers": 1, "hardware": {"device": "cpu", "precision": "fp32"}}
QUICK = CPU | {"overlays": 0}
TEXT = {"patient_id": str, "study_id": str}


def settings(trained, out, *studies, **changes) -> PredictConfig:
    return PredictConfig(**({"model": trained.run, "studies": studies, "out": out} | CPU | changes))


def run_scores(run: Path) -> pd.Series:
    table = pd.read_csv(run / "predictions.csv", dtype=TEXT)
    return table.set_index("study_id")["severe_as_score"]


def new_scores(folder: Path) -> pd.Series:
    table = pd.read_csv(folder / "predictions.csv", dtype=TEXT)
    return table.set_index("study_id")["severe_as_score"]


@pytest.fixture(scope="module")
def new_table(trained, tmp_path_factory) -> Path:
    """The run's own test studies, without their labels."""
    path = tmp_path_factory.mktemp("new") / "new.csv"
    write_manifest(trained.test_videos.drop(columns=["severe_as", "split"]), path)
    return path


@pytest.fixture(scope="module")
def predicted(trained, new_table, tmp_path_factory):
    """Those studies with everything that is written of them."""
    return predict(settings(trained, tmp_path_factory.mktemp("predicted") / "out", new_table))


@pytest.fixture(scope="module")
def mixed(trained, tmp_path_factory):
    """A study of the test split in a folder with files that cannot be used, and one of such files alone."""
    folder = tmp_path_factory.mktemp("mixed")
    videos = trained.test_videos
    study = videos["study_id"].iloc[0]
    (folder / "in" / "good").mkdir(parents=True)
    for path in videos.loc[videos["study_id"] == study, "path"]:
        # by content, not by name
        shutil.copy(path, folder / "in" / "good" / Path(path).stem)
    (folder / "in" / "good" / "broken.avi").write_bytes(b"RIFF\x00\x00\x00\x00AVI LIST" + bytes(200))
    (folder / "in" / "bad").mkdir()
    (folder / "in" / "bad" / "letter.avi").write_text("Dear colleague")
    return predict(settings(trained, folder / "out", folder / "in", overlays=0)), study


def test_test_studies_get_the_scores_that_the_run_gave_them(trained, predicted) -> None:
    run, new = run_scores(trained.run), new_scores(predicted.folder)
    assert set(run.index) == set(new.index)
    assert new.loc[run.index].to_numpy() == pytest.approx(run.to_numpy(), abs=1e-5)


def test_the_table_has_the_layout_of_all_predictions_and_no_label(trained, predicted) -> None:
    table = pd.read_csv(predicted.folder / "predictions.csv")
    assert list(table.columns) == list(pd.read_csv(trained.run / "predictions.csv").columns)
    assert table["severe_as"].isna().all()
    assert set(table["split"]) == {"new"}


def test_a_study_is_the_weighted_mean_of_its_videos(predicted) -> None:
    videos = pd.read_csv(predicted.folder / "videos.csv", dtype=TEXT)
    for study, own in videos.groupby("study_id"):
        assert own["weight"].sum() == pytest.approx(1)
        mean = (own["weight"] * own["severe_as_score"]).sum()
        assert mean == pytest.approx(new_scores(predicted.folder)[study], abs=1e-6)
        foremost = own.sort_values("place")["severe_as_score"].tolist()
        assert foremost == sorted(foremost, reverse=True)
        drawn = own.loc[own["film"].notna(), "place"].tolist()
        assert drawn == [1]


def test_every_file_is_there_and_whole(predicted) -> None:
    folder = predicted.folder
    assert json.loads((folder / "result.json").read_text()) == predicted.result
    for path in pd.read_csv(folder / "videos.csv")["film"].dropna():
        assert b"ftyp" in (folder / path).read_bytes()[:16]
    assert not [one for one in folder.parent.iterdir() if one != folder]
    assert not pd.read_csv(folder / "refused.csv").size


def test_the_page_needs_no_network_and_says_what_it_is_for(predicted) -> None:
    html = (predicted.folder / "index.html").read_text()
    assert html.count("Research use only. Not a medical device") == 2
    assert "http://" not in html
    assert "https://" not in html
    assert html.count("<video") == len(predicted.result["studies"])
    assert html.count("<img alt=") == html.count("<img")
    # a player shows its film before it is played
    assert html.count(' poster="data:image/jpeg;base64,') == html.count("<video")
    assert "severe_as_score (log odds)" in html
    assert "Uncalibrated" in html


def test_what_cannot_be_used_is_refused_in_one_line_and_the_others_go_on(mixed, trained) -> None:
    found, study = mixed
    assert found.refused_studies == ["bad"]
    assert new_scores(found.folder)["good"] == pytest.approx(run_scores(trained.run)[study], abs=1e-5)
    refused = pd.read_csv(found.folder / "refused.csv", dtype=TEXT).set_index("study_id")
    assert "is a text file" in refused.loc["bad", "reason"]
    assert refused.loc["good", "path"].endswith("broken.avi")
    assert not refused["reason"].str.contains("\n").any()
    assert "Study bad has no usable video" in (found.folder / "index.html").read_text()


def test_no_usable_video_at_all_gives_a_page_and_all_reasons(trained, mixed, tmp_path) -> None:
    bad = mixed[0].folder.parent / "in" / "bad"
    found = predict(settings(trained, tmp_path / "out", bad))
    assert found.refused_studies == ["bad"]
    assert found.result["studies"] == []
    assert "is a text file" in found.result["refused"][0]["reason"]
    assert "No study could be scored" in (tmp_path / "out" / "index.html").read_text()


def test_what_only_preparation_refuses_is_told_in_its_words(trained, tmp_path) -> None:
    """A look by any decoder finds no fault where the decoder of training found one."""
    (tmp_path / "letter.avi").write_text("Dear colleague")
    paths = [trained.test_videos["path"].iloc[0], str(tmp_path / "letter.avi")]
    table = pd.DataFrame({"path": paths, "patient_id": "a", "study_id": "a"})
    write_manifest(table, tmp_path / "both.csv")
    found = _reasons(tmp_path / "both.csv", settings(trained, tmp_path, tmp_path), "decord: not installed")
    assert found[paths[0]] == "decord: not installed"
    assert "is a text file" in found[paths[1]]


def test_a_folder_that_is_there_is_not_written_to(trained, mixed, tmp_path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="is there already; choose another folder"):
        predict(settings(trained, tmp_path, tmp_path))
    assert [one.name for one in tmp_path.iterdir()] == ["mine.txt"]


def test_nothing_half_written_stays_behind(trained, new_table, tmp_path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        predict(settings(trained, tmp_path / "out", new_table, layer="nowhere"))
    assert not list(tmp_path.iterdir())


def test_a_model_alone_says_how_its_videos_are_prepared(trained, mixed, tmp_path) -> None:
    model = tmp_path / "model.safetensors"
    shutil.copy(trained.run / "model.safetensors", model)
    good = mixed[0].folder.parent / "in" / "good"
    found = predict(settings(trained, tmp_path / "out", good, **QUICK | {"model": model}))
    assert new_scores(found.folder)["good"] == pytest.approx(new_scores(mixed[0].folder)["good"], abs=1e-5)
    assert "stands alone" in found.result["calibration"]["note"]


def test_a_file_of_an_earlier_version_asks_its_run_or_its_store(trained, tmp_path) -> None:
    model = tmp_path / "model.safetensors"
    before = read_metadata(trained.run / "model.safetensors")
    use = VideoUse.model_validate_json(before.pop(USE_KEY))
    assert use.with_sector == use.num_videos
    save_file(load_file(trained.run / "model.safetensors"), model, metadata=before)
    with pytest.raises(UserError, match="give store=FOLDER"):
        load_use(model)
    assert load_use(model, store=trained.folder / "store") == use
    shutil.copy(trained.run / "run.json", tmp_path / "run.json")
    assert load_use(model) == use


@pytest.mark.parametrize(
    ("video", "reason"),
    [
        ({"doppler": True, "num_frames": 9, "outline": "0 0"}, "shows colour Doppler"),
        ({"doppler": False, "num_frames": 1, "outline": "0 0"}, "is a still"),
        ({"doppler": False, "num_frames": 9, "outline": ""}, "has no ultrasound sector"),
        ({"doppler": False, "num_frames": 9, "outline": "0 0"}, ""),
    ],
)
def test_videos_unlike_those_of_training_are_told(video, reason) -> None:
    use = VideoUse(sector="mask_and_crop", doppler="keep", num_videos=100, with_sector=99)
    assert _unlike(pd.Series(video), use).startswith(reason)
    seen = use.model_copy(update={"with_doppler": 20, "with_sector": 50, "stills": 30})
    assert _unlike(pd.Series(video), seen) == ""
    assert _unlike(pd.Series(video), use.model_copy(update={"num_videos": 9})) == ""


@pytest.mark.parametrize(
    ("seconds", "frames", "too_short", "note"),
    [
        (0.5, 10, "loop", ""),
        (0.3, 6, "loop", "shorter than a clip (0.30 s of 0.50 s): played in a loop"),
        (0.3, 6, "hold", "shorter than a clip (0.30 s of 0.50 s): its last frame held"),
        (0.05, 1, "loop", "shorter than a clip (0.05 s of 0.50 s): its last frame held"),
    ],
)
def test_what_is_done_to_a_short_video_is_said(seconds, frames, too_short, note) -> None:
    clip = ClipConfig(clip_seconds=0.5, num_frames=8, too_short=too_short)
    assert note_of(seconds, frames, clip) == note


def test_a_short_video_is_noted_in_table_and_page(trained, tmp_path) -> None:
    (tmp_path / "in").mkdir()
    source = trained.test_videos["path"].iloc[0]
    shutil.copy(source, tmp_path / "in" / Path(source).name)
    frames = open_video(Path(source)).read(list(range(6)))
    with av.open(str(tmp_path / "in" / "short.avi"), "w") as file:
        stream = file.add_stream("mjpeg", rate=20)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuvj420p"
        for frame in frames:
            picture = np.repeat(frame[..., :1], 3, axis=-1)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")))
        file.mux(stream.encode(None))
    found = predict(settings(trained, tmp_path / "out", tmp_path / "in", overlays=0))
    note = "shorter than a clip (0.30 s of 0.50 s): played in a loop"
    videos = pd.read_csv(found.folder / "videos.csv", keep_default_na=False)
    told = dict(zip(map(Path, videos["path"]), videos["note"], strict=True))
    assert {path.name: text for path, text in told.items()} == {"short.avi": note, Path(source).name: ""}
    assert (found.folder / "index.html").read_text().count(note) == 1


def test_attention_gives_the_weights_of_the_videos(trained, new_table, tmp_path) -> None:
    recipe = {"name": "frozen", "steps": 10, "augmented_views": 2, "pooling": "attention"}
    run = trained.finetuned("attention", recipe=recipe)
    found = predict(settings(trained, tmp_path / "out", new_table, **QUICK | {"model": run}))
    expected, new = run_scores(run), new_scores(found.folder)
    assert new.loc[expected.index].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-5)
    videos = pd.read_csv(tmp_path / "out" / "videos.csv", dtype=TEXT)
    several = videos.groupby("study_id").filter(lambda own: len(own) > 1)
    assert np.ptp(several["weight"]) > 0
    weighted = (videos["weight"] * videos["severe_as_score"]).groupby(videos["study_id"]).sum()
    assert weighted.loc[new.index].to_numpy() == pytest.approx(new.to_numpy(), abs=1e-6)
