import json

import numpy as np
import pytest
from scipy import ndimage

from echossl.config.phantom import PhantomConfig
from echossl.errors import UserError
from echossl.phantom.anatomy import sample_patient
from echossl.phantom.heart import LEFT_CM, SPACING_CM, TOP_CM, reference_amplitude, ventricle_wall
from echossl.phantom.render import render_video
from echossl.phantom.walls import wall_mask


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The record of a phantom, and one video of it."""
    folder = tmp_path_factory.mktemp("walls")
    config = PhantomConfig(out=folder, seed=5, beats=(1.2, 1.3), image_height=(120, 130))
    (folder / "phantom.json").write_text(json.dumps({"config": config.model_dump(mode="json")}))
    patient = sample_patient(5, 3)
    return folder, render_video(patient, 2, config), wall_mask(folder, folder / "videos" / "P00003_2.avi")


def test_walls_have_the_shape_of_the_video_and_are_where_it_is_grey(made) -> None:
    _, video, walls = made
    assert walls.shape == video.frames.shape
    assert 0.01 < walls.mean() < 0.25
    beside = ndimage.binary_dilation(walls, structure=np.ones((1, 9, 9))) & ~walls & ~video.valve_mask
    inner = ndimage.binary_erosion(walls, structure=np.ones((1, 3, 3)))
    assert video.frames[inner].mean() > 1.2 * video.frames[beside].mean()
    assert (video.frames[walls] > 0).mean() > 0.8


def test_walls_move_and_thicken_with_the_beat(made) -> None:
    _, video, walls = made
    contraction = video.beats.contraction
    still, squeezed = walls[contraction.argmin()], walls[contraction.argmax()]
    assert (still != squeezed).mean() > 0.005
    # muscle keeps its area nearly, and changes its place
    assert squeezed.sum() == pytest.approx(still.sum(), rel=0.35)


def test_walls_are_the_muscle_of_the_map_and_not_the_blood() -> None:
    heart = sample_patient(5, 3).heart
    level = 20 * np.log10(reference_amplitude(heart, np.random.default_rng(0)))
    rows, columns = np.indices(level.shape)
    y, x = TOP_CM + SPACING_CM * rows, LEFT_CM + SPACING_CM * columns
    cavity, thickness, muscle = ventricle_wall(x.astype(np.float32), y.astype(np.float32), heart)
    middle = (muscle < -0.2) & (cavity > 0.25) & (x < -2)
    assert np.median(level[middle]) == pytest.approx(heart.myocardium_db, abs=1)
    assert np.median(level[(cavity < -0.3) & (x < -2)]) < -40
    assert thickness.max() <= max(heart.septum_cm, heart.posterior_wall_cm) + 1e-6


def test_what_is_no_phantom_is_refused(made, tmp_path) -> None:
    folder = made[0]
    with pytest.raises(UserError, match="expected one as P00001_1"):
        wall_mask(folder, folder / "patient.avi")
    with pytest.raises(UserError, match=r"phantom\.json: no such file"):
        wall_mask(tmp_path, tmp_path / "P00001_1.avi")
