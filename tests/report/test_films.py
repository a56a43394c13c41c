"""Films and stills are held to a size: as they are, smaller, or left out and said so."""

import io

import av
import numpy as np
import pytest
from PIL import Image
from report_example import film, png

from echossl.errors import UserError
from echossl.report import SaliencyEntry
from echossl.report.films import small_film, small_strip
from echossl.report.pictured import pictured
from echossl.saliency.render import write_mp4


def shape_of(content):
    with av.open(io.BytesIO(content), "r", format="mp4") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return len(frames), *frames[0].shape


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    path = tmp_path_factory.mktemp("film") / "noisy.mp4"
    frames = np.random.default_rng(0).integers(0, 256, (12, 96, 64, 3), dtype=np.uint8)
    write_mp4(frames, path, frames_per_second=12)
    return path


def test_a_small_film_stays_as_it_is():
    assert small_film(film(), most_bytes=10**6).content == film()


def test_a_large_film_is_encoded_again_until_it_fits(noisy):
    size = noisy.stat().st_size
    for share in (0.9, 0.3):
        found = small_film(noisy, most_bytes=int(share * size))
        assert 0 < len(found.content) <= share * size
        num_frames, height, width, _ = shape_of(found.content)
        assert num_frames == 12
        assert height / width == pytest.approx(1.5, abs=0.05)
        with Image.open(io.BytesIO(found.poster)) as poster:
            assert poster.size == (64, 96)


def test_a_film_that_cannot_fit_is_left_out_and_said_so(noisy):
    assert small_film(noisy, most_bytes=500).content == b""
    entry = SaliencyEntry("Study", "One beat.", film(), png(), True, 1.0)
    (shown,) = pictured([entry], film_kilobytes=0)
    assert shown.film == ""
    assert shown.film_note == "The film does not fit into 0 KB; the stills show the same."


def test_what_is_no_film_is_refused_by_name(tmp_path):
    path = tmp_path / "film.mp4"
    with pytest.raises(UserError, match=r"film.mp4: no such file"):
        small_film(path, most_bytes=1000)
    path.write_bytes(b"not a film")
    with pytest.raises(UserError, match=r"film.mp4: not a film that can be read"):
        small_film(path, most_bytes=1000)


def test_wide_stills_become_narrower_and_keep_their_shape():
    with Image.open(io.BytesIO(small_strip(png(2880)))) as picture:
        assert picture.size == (1440, 8)
        assert picture.format == "JPEG"
