"""Pictures and folders of pictures, compared with the arrays that were saved."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from video_samples import picture

from echossl.errors import DecodeError
from echossl.video import open_video
from echossl.video.order import natural_key
from echossl.video.stills import Picture, PictureReader, decode_picture

COLOUR = picture(5)
GREY = COLOUR[..., 0]
ALPHA = np.linspace(0, 255, GREY.size).astype(np.uint8).reshape(GREY.shape)


def read(path: Path) -> np.ndarray:
    """All frames of a path, (n, height, width, channels)."""
    with open_video(path) as reader:
        frames = reader.read(range(reader.num_frames))
        assert frames.shape == (reader.num_frames, reader.height, reader.width, reader.channels)
        assert reader.fps is None
        assert reader.frame_seconds[0] == 0
        assert np.isnan(reader.frame_seconds[1:]).all()
        assert (reader.cm_per_pixel, reader.pixel_aspect) == (None, 1.0)
    return frames


@pytest.mark.parametrize("name", ["PNG", "BMP", "TIFF", "WEBP", "JPEG2000", "AVIF", "JPEG"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "colour"])
def test_a_still_is_a_video_of_one_frame(tmp_path: Path, name: str, pixels: np.ndarray) -> None:
    path = tmp_path / "looks_like.avi"
    exact = {"WEBP": {"lossless": True}, "AVIF": {"quality": 100, "subsampling": "4:4:4"}}.get(name, {})
    Image.fromarray(pixels).save(path, name, **exact)
    frames = read(path)
    assert len(frames) == 1
    # these know colour only
    if frames.shape[-1] == 3 and pixels.ndim == 2:
        assert name in {"WEBP", "AVIF"}
    difference = np.abs(frames[0].astype(int) - np.atleast_3d(pixels))
    limit = {"JPEG": 40, "AVIF": 8, "WEBP": 0}.get(name, 0)
    assert difference.max() <= limit


def test_grey_is_grey_and_colour_is_its_luma(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "v.png")
    weights = np.array([0.299, 0.587, 0.114])
    with open_video(tmp_path / "v.png") as reader:
        grey = reader.read_grey([0, 0])
        assert grey.shape == (2, *GREY.shape)
        assert np.abs(grey[0] - COLOUR @ weights).max() <= 1
        with pytest.raises(IndexError, match="frame 1"):
            reader.read([1])


def on_black(pixels: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return np.rint(pixels.astype(float) * alpha.astype(float) / 255)


def test_see_through_pixels_lie_on_black(tmp_path: Path) -> None:
    path = tmp_path / "v.png"
    Image.fromarray(np.dstack([COLOUR, ALPHA])).save(path)
    assert np.abs(read(path)[0] - on_black(COLOUR, ALPHA[..., None])).max() == 0
    Image.fromarray(np.dstack([GREY, ALPHA])).save(path)
    assert np.abs(read(path)[0, ..., 0] - on_black(GREY, ALPHA)).max() == 0
    Image.fromarray(GREY).save(path, transparency=int(GREY[0, 0]))
    np.testing.assert_array_equal(read(path)[0, ..., 0], np.where(GREY[0, 0] == GREY, 0, GREY))


def test_palettes_cmyk_and_one_bit_pictures(tmp_path: Path) -> None:
    path = tmp_path / "v"
    indexed = Image.fromarray(COLOUR).quantize(16)
    indexed.save(path, "PNG")
    np.testing.assert_array_equal(read(path)[0], np.asarray(indexed.convert("RGB")))
    indexed.save(path, "GIF")
    np.testing.assert_array_equal(read(path)[0], np.asarray(indexed.convert("RGB")))
    cmyk = Image.fromarray(COLOUR).convert("CMYK")
    cmyk.save(path, "TIFF")
    assert np.abs(read(path)[0].astype(int) - COLOUR).max() <= 1
    Image.fromarray(GREY > 128).save(path, "PNG")
    np.testing.assert_array_equal(read(path)[0, ..., 0], np.where(GREY > 128, 255, 0))


def test_sixteen_bits_are_scaled_by_what_they_can_hold(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 4800).astype(np.uint16).reshape(60, 80)
    for name in ("PNG", "TIFF", "JPEG2000"):
        path = tmp_path / name
        Image.fromarray(values).save(path, name)
        np.testing.assert_array_equal(read(path)[0, ..., 0], np.rint(values / 257))
    # dark pictures stay dark
    Image.fromarray(values // 64).save(path, "PNG")
    assert read(path).max() == round(65535 // 64 / 257)
    Image.fromarray(values).save(path, "TIFF", tiffinfo={262: 0})
    np.testing.assert_array_equal(read(path)[0, ..., 0], 255 - np.rint(values / 257))


def test_pixels_are_taken_as_stored_whatever_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY).save(tmp_path / "v.png", exif=exif)
    np.testing.assert_array_equal(read(tmp_path / "v.png")[0, ..., 0], GREY)


def test_pages_of_a_tiff_are_frames(tmp_path: Path) -> None:
    path = tmp_path / "stack.dat"
    pages = [Image.fromarray(picture(number)[..., 0]) for number in range(7)]
    pages[0].save(path, "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw")
    np.testing.assert_array_equal(read(path)[..., 0], np.stack([np.asarray(page) for page in pages]))
    with open_video(path) as reader:
        np.testing.assert_array_equal(reader.read([5, 0, 5])[1, ..., 0], np.asarray(pages[0]))
        np.testing.assert_array_equal(reader.read([5, 0, 5])[2, ..., 0], np.asarray(pages[5]))
    pages[0].save(path, "TIFF", save_all=True, append_images=[pages[1], pages[2].resize((48, 32))])
    with pytest.raises(DecodeError, match="page 2 has 32 x 48 pixels in grey, the first 64 x 96"):
        open_video(path)


@pytest.mark.parametrize("name", ["PNG", "WEBP"])
def test_other_animations_are_refused(tmp_path: Path, name: str) -> None:
    pages = [Image.fromarray(picture(number)) for number in range(3)]
    pages[0].save(tmp_path / "v", name, save_all=True, append_images=pages[1:])
    with pytest.raises(DecodeError, match=f"is an animated {name}, which is not read; convert it"):
        open_video(tmp_path / "v")


def write_folder(folder: Path, numbers: range, pattern: str = "image_{}.png") -> Path:
    folder.mkdir()
    for number in numbers:
        Image.fromarray(picture(number)[..., 0]).save(folder / pattern.format(number))
    return folder


def test_trap_10_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a", range(0, 60, 5))
    expected = np.stack([picture(number)[..., 0] for number in range(0, 60, 5)])
    np.testing.assert_array_equal(read(folder)[..., 0], expected)
    names = [f"image_{number}.png" for number in range(0, 60, 5)]
    assert sorted(names) != names
    assert sorted(set(names), key=natural_key) == names


def test_what_is_no_frame_is_passed_over(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a", range(3))
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" * 40)
    (folder / "notes.txt").write_text("who is this")
    (folder / "._image_1.png").write_bytes(b"\x00\x05\x16\x07" * 30)
    (folder / ".image_9.png").write_bytes((folder / "image_1.png").read_bytes())
    (folder / "video.mp4").write_bytes(bytes(400))
    write_folder(folder / "image_7.png", range(2))
    assert len(read(folder)) == 3
    # a picture without a suffix is one
    (folder / "image_3").write_bytes((folder / "image_0.png").read_bytes())
    np.testing.assert_array_equal(read(folder)[3], read(folder)[0])


def test_trap_08_stills_of_different_views_are_no_video(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a", range(12))
    Image.fromarray(picture(0)).save(folder / "image_10.png")
    with pytest.raises(
        DecodeError, match=r"image_10\.png: has 64 x 96 pixels in colour, image_0\.png beside"
    ):
        open_video(folder)
    Image.fromarray(GREY[:, :90]).save(folder / "image_10.png")
    with pytest.raises(DecodeError, match=r"image_10\.png: has 64 x 90 pixels in grey, image_0\.png beside"):
        open_video(folder)
    # named alone, each is itself
    assert len(read(folder / "image_10.png")) == len(read(folder / "image_9.png")) == 1
    # a folder of folders is none of them
    with pytest.raises(DecodeError, match="is a folder without pictures"):
        open_video(tmp_path)


def test_one_file_of_a_folder_is_one_frame(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a", range(2))
    pages = [Image.fromarray(picture(number)[..., 0]) for number in range(2)]
    pages[0].save(folder / "image_2.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DecodeError, match=r"image_2\.tif: has 2 pages, in a folder of pictures one"):
        open_video(folder)


@pytest.mark.parametrize("content", [b"", b"\x00" * 100, b"<html>not found</html>"])
def test_a_frame_that_is_no_picture_is_not_passed_over(tmp_path: Path, content: bytes) -> None:
    folder = write_folder(tmp_path / "a", range(3))
    (folder / "image_1.png").write_bytes(content)
    with pytest.raises(DecodeError, match=r"image_1\.png: is named like a picture and holds none"):
        open_video(folder)


@pytest.mark.parametrize("name", ["PNG", "JPEG", "TIFF", "BMP", "WEBP"])
def test_a_damaged_picture_is_named_when_it_is_asked_for(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    for number in range(3):
        Image.fromarray(picture(number)[..., 0]).save(folder / f"image_{number}", name)
    whole = (folder / "image_1").read_bytes()
    (folder / "image_1").write_bytes(whole[: len(whole) - len(whole) // 4])
    if name == "WEBP":
        # its header is not told apart from its pixels
        with pytest.raises(DecodeError, match="image_1: is a damaged picture"):
            open_video(folder)
        return
    with open_video(folder) as reader:
        assert reader.num_frames == 3
        assert len(reader.read([0, 2])) == 2
        with pytest.raises(DecodeError, match="image_1: is a damaged picture") as caught:
            reader.read([0, 1])
    assert caught.value.path.name == "image_1"
    assert "\n" not in str(caught.value)


def test_a_picture_that_changes_after_opening_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "a", range(2))
    with open_video(folder) as reader:
        Image.fromarray(GREY[:40]).save(folder / "image_1.png")
        with pytest.raises(DecodeError, match=r"image_1\.png: was replaced"):
            reader.read([1])
        (folder / "image_1.png").unlink()
        with pytest.raises(DecodeError, match=r"image_1\.png: no such file"):
            reader.read([1])


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred bytes that says it is huge."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100_000))), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("size", [(9000, 9000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
@pytest.mark.filterwarnings("error")
def test_pictures_that_claim_to_be_huge_are_not_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "v.png").write_bytes(bomb(*size))
    with pytest.raises(DecodeError, match="declares pictures of more than 64 megapixels"):
        open_video(tmp_path / "v.png")


def test_a_gif_that_claims_to_be_huge(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "v", "GIF")
    data = bytearray((tmp_path / "v").read_bytes())
    data[6:10] = b"\xff\xff\xff\xff"
    (tmp_path / "v").write_bytes(data)
    with pytest.raises(DecodeError, match="more than 64 megapixels"):
        open_video(tmp_path / "v")


def test_pixels_of_odd_types_are_refused(tmp_path: Path) -> None:
    for values in (np.zeros((8, 8), np.float32), np.zeros((8, 8), np.int32)):
        Image.fromarray(values).save(tmp_path / "v.tif")
        with pytest.raises(DecodeError, match=r"mode [FI], expected 8-bit grey or colour or 16-bit grey"):
            open_video(tmp_path / "v.tif")


def test_frames_are_decoded_when_they_are_asked_for(tmp_path: Path) -> None:
    """A folder of hundreds of frames opens by its headers."""
    folder = write_folder(tmp_path / "a", range(300))
    with open_video(folder) as reader:
        for number in range(1, 300):
            (folder / f"image_{number}.png").unlink()
        np.testing.assert_array_equal(reader.read([0])[0, ..., 0], picture(0)[..., 0])


def test_a_reader_of_pictures_is_made_of_headers(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(GREY).save(buffer, "PNG")
    (tmp_path / "v").write_bytes(buffer.getvalue())
    first = Picture(tmp_path / "v", 0, *GREY.shape, channels=1)
    assert first.form == "64 x 96 pixels in grey"
    np.testing.assert_array_equal(decode_picture(first)[..., 0], GREY)
    with PictureReader(tmp_path, [first, first]) as reader:
        assert reader.read([1, 0, 1]).shape == (3, 64, 96, 1)
        assert reader.read([]).shape == (0, 64, 96, 1)
