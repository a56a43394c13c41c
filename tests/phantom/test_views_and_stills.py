"""Two views of a study, and still pictures; and that nothing of it changes the phantom of old."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from echossl.config.phantom import FindingSettings, PhantomConfig, PhantomSettings
from echossl.config.sources import PhantomSource
from echossl.data.sources.phantom import index_phantom
from echossl.errors import UserError
from echossl.phantom import generate
from echossl.phantom.anatomy import sample_patient
from echossl.phantom.encode import write_video
from echossl.phantom.four_chamber import four_chamber_amplitude, four_chamber_leaflets, four_chamber_window
from echossl.phantom.heart import BLOOD_DB, LEFT_CM, SPACING_CM, TOP_CM, ventricle_centre
from echossl.phantom.people import person, table_row
from echossl.phantom.render import plan_video, render_video, view_of
from echossl.phantom.scanner import NUISANCES
from echossl.phantom.truth import read_truth
from echossl.phantom.walls import wall_mask
from echossl.video import open_video

MIDDLE = dict.fromkeys(NUISANCES, 0.0)
BOTH = ("plax", "a4c")
SMALL = {"beats": (0.4, 0.5), "frames_per_second": (25.0, 30.0), "image_height": (64, 72)}
# mean grey of 4 x 4 blocks of the first frame, made before there were views, hospitals and findings
OF_OLD = {
    (1, 1): [24, 42, 58, 47, 22, 24, 39, 18, 27, 46, 37, 24, 1, 6, 5, 5],
    (2, 2): [26, 62, 67, 47, 49, 63, 52, 32, 20, 22, 32, 32, 2, 27, 10, 4],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> PhantomConfig:
    out = tmp_path_factory.mktemp("views") / "phantom"
    config = PhantomConfig(
        out=out, patients=3, workers=1, views=BOTH, videos_per_study=(1, 3), containers=("png",),
        image_height=(64, 64), seed=6,
    )  # fmt: skip
    generate(config)
    return config


def blocks(frame: np.ndarray) -> list[int]:
    """Mean of 4 x 4 blocks of (64, 64)."""
    return frame.reshape(4, 16, 4, 16).mean((1, 3)).round().astype(int).ravel().tolist()


@pytest.mark.parametrize("key", OF_OLD)
def test_pictures_are_those_of_old_when_nothing_is_asked_for(key):
    number, video = key
    settings = PhantomSettings(seed=0, **(SMALL | {"image_height": (64, 64)}))
    frame = render_video(person(settings, number), video, settings).frames[0]
    found = blocks(np.asarray(Image.fromarray(frame).resize((64, 64), Image.Resampling.BOX)))
    assert np.abs(np.subtract(found, OF_OLD[key])).max() <= 1


def test_the_table_of_patients_is_that_of_old_when_nothing_is_asked_for():
    settings = PhantomSettings(seed=0, patients=3)
    rows = [table_row(settings, person(settings, number)) for number in (1, 2, 3)]
    text = pd.DataFrame(rows).to_csv(index=False)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "0255145657e2e033"


def test_a_folder_of_before_these_settings_is_taken_up(tmp_path):
    config = PhantomConfig(out=tmp_path / "old", patients=1, workers=1, videos_per_study=(1, 1), **SMALL)
    generate(config)
    record = tmp_path / "old" / "phantom.json"
    content = json.loads(record.read_text())
    for name in ("views", "sources", "findings", "reports"):
        del content["config"][name]
    record.write_text(json.dumps(content))
    generate(config)
    names = {path.name for path in (tmp_path / "old").rglob("*") if path.is_file()}
    assert names == {"phantom.json", "patients.csv", "P00001_1.avi", "P00001_1.npz"}


def test_views_take_turns_from_a_random_one_on():
    settings = PhantomSettings(views=BOTH)
    firsts = [view_of(settings, number, 1) for number in range(1, 101)]
    assert 0.35 < np.mean([view == "plax" for view in firsts]) < 0.65
    for number in range(1, 30):
        views = [view_of(settings, number, video) for video in (1, 2, 3)]
        assert views[0] == views[2] != views[1]


def test_a_study_may_lack_a_view_and_the_tables_say_the_view(made):
    table = index_phantom(made.out, PhantomSource())
    expected = [view_of(made, int(Path(p).stem[1:6]), int(Path(p).stem[7:])) for p in table["path"]]
    assert table["view"].tolist() == expected
    assert set(table["view"]) == set(BOTH)
    assert (table.groupby("study_id")["view"].nunique() <= 2).all()


def test_a_video_that_the_table_of_views_does_not_list_is_named(made, tmp_path):
    (tmp_path / "videos").symlink_to(made.out / "videos")
    for name in ("phantom.json", "patients.csv"):
        (tmp_path / name).write_bytes((made.out / name).read_bytes())
    pd.read_csv(made.out / "videos.csv").iloc[1:].to_csv(tmp_path / "videos.csv", index=False)
    with pytest.raises(UserError, match=r"videos\.csv: does not list .*P00001_1\.png"):
        index_phantom(tmp_path, PhantomSource())


def test_stills_are_pictures_of_one_frame_with_their_truth(made):
    moments = []
    for path in sorted((made.out / "videos").rglob("*.png")):
        with open_video(path) as video:
            assert (video.num_frames, video.channels, video.fps) == (1, 1, None)
            frame = video.read_grey([0])[0]
        truth = read_truth(made.out, path)
        assert truth.valve_mask.shape == (1, *frame.shape)
        assert 0 <= truth.phase[0] < 1
        moments.append(float(truth.phase[0]))
    assert np.std(moments) > 0.1


def test_a_still_is_drawn_and_written_without_loss(made):
    path = next((made.out / "videos").rglob("*.png"))
    number, video = int(path.stem[1:6]), int(path.stem[7:])
    rendered = render_video(person(made, number), video, made)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), rendered.frames[0])


def test_several_frames_are_no_picture(tmp_path):
    with pytest.raises(ValueError, match="found 2 frames"):
        write_video(tmp_path / "a.png", np.zeros((2, 8, 8), np.uint8), 25, "png", {})
    assert not list(tmp_path.iterdir())


def test_the_second_view_does_not_show_the_aortic_valve():
    settings = PhantomSettings(seed=1, **SMALL)
    plax = render_video(person(settings, 1), 1, settings)
    settings = settings.model_copy(update={"views": ("a4c",)})
    a4c = render_video(person(settings, 1), 1, settings)
    assert plax.valve_mask.any()
    assert not a4c.valve_mask.any()
    assert a4c.frames.shape[1:] == plax.frames.shape[1:]


def test_four_chambers_lie_where_they_should():
    heart = sample_patient(0, 1).heart
    level = 20 * np.log10(four_chamber_amplitude(heart, np.random.default_rng(0)))
    middle = ventricle_centre(heart)[1]

    def at(x, y):
        return level[round((y - TOP_CM) / SPACING_CM), round((x - LEFT_CM) / SPACING_CM)]

    right = middle - heart.ventricle_short_cm - heart.septum_cm - 0.9
    blood = [at(-3.5, middle), at(2.0, middle), at(-2.0, right), at(2.0, right - 0.3)]
    assert max(blood) < BLOOD_DB + 5
    septum = at(-3.5, middle - heart.ventricle_short_cm - heart.septum_cm / 2)
    side = at(-3.5, middle + heart.ventricle_short_cm + heart.posterior_wall_cm / 2)
    assert abs(septum - heart.myocardium_db) < 3
    assert abs(side - heart.myocardium_db) < 3


@pytest.mark.parametrize("number", range(1, 6))
def test_atrioventricular_valves_close_in_the_middle_and_open_towards_the_apex(number):
    heart = sample_patient(0, number).heart
    leaflets = four_chamber_leaflets(heart, np.array([0.0, 1.0], np.float32)).points
    assert leaflets.shape == (4, 6, 2, 2)
    tips = leaflets[:, -1]
    np.testing.assert_allclose(tips[0, :, 0], tips[1, :, 0], atol=1e-5)
    np.testing.assert_allclose(tips[2, :, 0], tips[3, :, 0], atol=1e-5)
    assert (tips[:, 0, 1] < tips[:, 0, 0] - 1).all()
    assert tips[1, 1, 1] - tips[0, 1, 1] > 1.5


def test_the_window_shows_the_apex_up_and_the_left_heart_on_the_right():
    settings = PhantomSettings(seed=1, views=("a4c",), view="sector", image_height=(128, 128))
    for number in (1, 2, 3):
        patient = person(settings, number)
        window = four_chamber_window(patient.heart, "sector", MIDDLE)
        assert window.mirrored
        apex = ventricle_centre(patient.heart)[0] - patient.heart.ventricle_long_cm
        assert 0 < window.valve_y_cm + apex < 3.5
        plan = plan_video(patient, 1, settings)
        assert plan.view == "a4c"


def test_the_heart_beats_in_the_second_view_and_its_walls_are_known(tmp_path):
    config = PhantomConfig(
        out=tmp_path, seed=3, views=("a4c",), view="sector", beats=(1.0, 1.1), image_height=(96, 96)
    )
    (tmp_path / "phantom.json").write_text(json.dumps({"config": config.model_dump(mode="json")}))
    video = render_video(person(config, 2), 1, config)
    walls = wall_mask(tmp_path, Path("P00002_1.avi"))
    assert walls.shape == video.frames.shape
    still, squeezed = (walls[pick(video.beats.contraction)] for pick in (np.argmin, np.argmax))
    assert (still != squeezed).mean() > 0.005
    inside = video.frames[walls].mean()
    # blood of the ventricle, above its middle
    assert inside > 1.3 * np.median(video.frames[:, 30:60, 35:75])


def test_two_views_show_one_heart(tmp_path):
    pictures = {}
    for effusion in (0.0, 1.0):
        findings = FindingSettings(
            left_atrial_enlargement=0, left_ventricular_hypertrophy=0, pericardial_effusion=effusion
        )
        settings = PhantomSettings(seed=2, findings=findings, views=BOTH, view="sector", containers=("png",))
        patient = person(settings, 4)
        pictures[effusion] = [render_video(patient, number, settings).frames[0] for number in (1, 2)]
        assert {view_of(settings, 4, number) for number in (1, 2)} == set(BOTH)
    for view in (0, 1):
        changed = np.abs(pictures[0.0][view].astype(int) - pictures[1.0][view]) > 25
        assert changed.mean() > 0.005
