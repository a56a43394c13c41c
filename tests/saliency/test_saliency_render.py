import av
import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from echossl.saliency.methods import METHODS
from echossl.saliency.pictures import as_drawn, what_one_is
from echossl.saliency.render import (
    LEGEND_HEIGHT_PIXELS,
    REGION_COLOUR,
    TITLE_HEIGHT_PIXELS,
    colours,
    legend,
    overlay,
    strip,
    strips,
    with_legend,
    write_gif,
    write_mp4,
    write_png,
)


def _clip(frames: int = 6, height: int = 48, width: int = 48) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (frames, height, width), dtype=np.uint8)


def test_colours_are_the_published_map() -> None:
    values = np.array([0.0, 0.25, 0.5, 1.0])
    expected = [colormaps["inferno"](round(value * 255))[:3] for value in values]
    assert np.allclose(colours(values) / 255, expected, atol=0.003)


def test_values_beyond_the_range_do_not_wrap_around() -> None:
    assert np.array_equal(colours(np.array([-0.5, 1.5])), colours(np.array([0.0, 1.0])))


@pytest.mark.parametrize(
    ("height", "width"), [(48, 48), (49, 48), (51, 51), (112, 112), (300, 260), (47, 90)]
)
def test_pictures_are_large_and_even(height: int, width: int) -> None:
    frames = _clip(2, height, width)
    drawn = overlay(frames, np.zeros(frames.shape))
    assert min(drawn.shape[1:3]) >= 240
    assert all(side % 2 == 0 for side in drawn.shape[1:3])
    assert drawn.shape[1] * width == drawn.shape[2] * height  # the aspect is kept


def test_nothing_is_drawn_where_saliency_is_zero() -> None:
    frames = _clip()
    drawn = overlay(frames, np.zeros(frames.shape))
    expected = frames.repeat(5, axis=1).repeat(5, axis=2)
    for channel in range(3):
        assert np.array_equal(drawn[..., channel], expected)


def test_full_saliency_mixes_as_written() -> None:
    frames = _clip()
    drawn = overlay(frames, np.ones(frames.shape))
    grey = frames.repeat(5, axis=1).repeat(5, axis=2)[..., None]
    expected = 0.5 * grey + 0.5 * colours(np.ones(()))
    assert np.abs(drawn - expected).max() <= 0.51


def test_saliency_stays_above_its_place() -> None:
    frames = np.zeros((1, 48, 48), dtype=np.uint8)
    saliency = np.zeros(frames.shape)
    saliency[0, 10, 30] = 1.0
    brightness = overlay(frames, saliency)[0].sum(axis=-1).astype(float)
    rows, columns = np.indices(brightness.shape)
    centre = ((rows * brightness).sum() / brightness.sum(), (columns * brightness).sum() / brightness.sum())
    assert centre == pytest.approx((10 * 5 + 2, 30 * 5 + 2), abs=0.2)


def test_region_gets_an_outline_and_keeps_its_inside() -> None:
    frames = _clip(1)
    region = np.zeros(frames.shape, dtype=bool)
    region[0, 10:20, 12:30] = True
    plain = overlay(frames, np.zeros(frames.shape))
    drawn = overlay(frames, np.zeros(frames.shape), region=region)
    changed = (plain != drawn).any(axis=-1)[0]
    assert (drawn[0, 50, 60:150] == REGION_COLOUR).all()
    assert not changed[55:95, 65:145].any()
    assert not changed[:50].any()


def test_strip_shows_raw_above_overlay_from_first_to_last_frame() -> None:
    frames = _clip(12)
    saliency = np.ones(frames.shape)
    picture = strip(frames, saliency)
    assert picture.shape == (2 * 240 + LEGEND_HEIGHT_PIXELS, 8 * 240, 3)
    enlarged = frames.repeat(5, axis=1).repeat(5, axis=2)
    assert np.array_equal(picture[:240, :240, 0], enlarged[0])
    assert np.array_equal(picture[:240, -240:, 0], enlarged[-1])
    assert np.array_equal(picture[240:480, -240:], overlay(frames[-1:], saliency[-1:])[0])


def test_strip_of_a_short_clip_has_fewer_columns() -> None:
    frames = _clip(3)
    assert strip(frames, np.zeros(frames.shape)).shape[1] == 3 * 240


def test_raw_row_of_the_strip_never_shows_the_region() -> None:
    frames = _clip(8)
    region = np.zeros(frames.shape, dtype=bool)
    region[:, 5:40, 5:40] = True
    with_region = strip(frames, np.zeros(frames.shape), region=region)
    without = strip(frames, np.zeros(frames.shape))
    assert np.array_equal(with_region[:240], without[:240])
    assert not np.array_equal(with_region[240:480], without[240:480])


def test_legend_names_the_region_only_if_there_is_one() -> None:
    drawn = legend(960, with_region=True)
    assert drawn.shape == (LEGEND_HEIGHT_PIXELS, 960, 3)
    assert (drawn == REGION_COLOUR).all(axis=-1).any()
    assert not (legend(960, with_region=False) == REGION_COLOUR).all(axis=-1).any()
    assert with_legend(overlay(_clip(2), np.zeros((2, 48, 48))), with_region=False).shape == (2, 276, 240, 3)


def test_film_plays_everywhere_and_holds_every_frame(tmp_path) -> None:
    frames = np.repeat(np.linspace(20, 230, 12).astype(np.uint8), 48 * 48).reshape(12, 48, 48)
    pictures = overlay(frames, np.zeros(frames.shape))
    path = tmp_path / "overlay.mp4"
    write_mp4(pictures, path, frames_per_second=12.0)
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert float(stream.average_rate) == pytest.approx(12.0)
        decoded = np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(stream)])
    assert decoded.shape == pictures.shape
    assert np.abs(decoded.astype(int) - pictures).max() < 12


def test_film_of_odd_pictures_repeats_the_last_row(tmp_path) -> None:
    pictures = np.full((3, 241, 243, 3), 90, dtype=np.uint8)
    write_mp4(pictures, tmp_path / "odd.mp4", frames_per_second=23.976)
    with av.open(str(tmp_path / "odd.mp4")) as film:
        context = film.streams.video[0].codec_context
        assert (context.height, context.width) == (242, 244)


def test_still_is_written_as_it_is(tmp_path) -> None:
    from PIL import Image

    picture = strip(_clip(8), np.random.default_rng(1).random((8, 48, 48)))
    write_png(picture, tmp_path / "strip.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "strip.png")), picture)


def test_strips_show_one_row_per_map_with_its_name() -> None:
    frames = _clip(12)
    maps = {"first": np.zeros(frames.shape), "second": np.ones(frames.shape)}
    picture = strips(frames, maps, columns=4)
    line = 240 + TITLE_HEIGHT_PIXELS
    assert picture.shape == (240 + 2 * line + LEGEND_HEIGHT_PIXELS, 4 * 240, 3)
    assert np.array_equal(picture[240 + TITLE_HEIGHT_PIXELS : 240 + line], picture[:240])
    assert np.array_equal(picture[-36 - 240 : -36, -240:], overlay(frames[-1:], maps["second"][-1:])[0])
    assert picture[240 : 240 + TITLE_HEIGHT_PIXELS].max() > 200


def test_gif_repeats_and_keeps_the_time(tmp_path) -> None:
    drawn = overlay(_clip(), np.zeros((6, 48, 48)))
    write_gif(drawn, tmp_path / "film.gif", frames_per_second=8)
    with Image.open(tmp_path / "film.gif") as film:
        assert film.n_frames == 6
        assert film.info["duration"] == pytest.approx(125, abs=5)
        assert film.info["loop"] == 0
        found = np.asarray(film.convert("RGB")).astype(int)
    assert np.abs(found - drawn[0]).mean() < 3


def test_maps_of_single_pixels_are_drawn_up_to_a_quantile_and_say_so() -> None:
    generator = np.random.default_rng(0)
    values = (generator.random((4, 48, 48)) ** 8).astype(np.float32)
    drawn = as_drawn("smooth_grad", values)
    assert drawn.max() == 1
    assert (drawn == 1).mean() == pytest.approx(0.005, abs=0.001)
    assert what_one_is("smooth_grad") == "largest 0.5 %"
    for name in ("grad_cam", "occlusion"):
        assert np.array_equal(as_drawn(name, values), values)
        assert what_one_is(name) == "largest"
    assert not as_drawn("smooth_grad", np.zeros((2, 8, 8), dtype=np.float32)).any()
    assert all(0.9 < method.drawn_quantile <= 1 for method in METHODS.values())
