import numpy as np
import pandas as pd
import pytest
from PIL import Image

from echossl.errors import UserError
from echossl.saliency.region import Regions

STORED = pd.Series(
    {
        "num_frames": 20,
        "top": 0,
        "left": 0,
        "height": 40,
        "width": 40,
        "source_height": 40,
        "source_width": 40,
    }
)


@pytest.fixture
def table(tmp_path):
    def write(**columns) -> Regions:
        path = tmp_path / "valve.csv"
        pd.DataFrame(columns).to_csv(path, index=False)
        return Regions.open(path)

    return write


def of(regions: Regions, tmp_path, indices=(0, 1), size: int = 40, stored=STORED):
    return regions.of(tmp_path / "a.avi", stored, np.array(indices), size)


def test_a_box_holds_for_all_frames_in_pixels_of_the_file(table, tmp_path) -> None:
    found = of(table(path=["a.avi"], x0=[10], y0=[4], x1=[20], y1=[12]), tmp_path)
    expected = np.zeros((2, 40, 40))
    expected[:, 4:12, 10:20] = 1
    assert list(found) == ["region"]
    assert np.array_equal(found["region"], expected)


def test_the_box_goes_through_the_window_of_the_store(table, tmp_path) -> None:
    window = STORED.copy()
    window[["top", "left", "height", "width"]] = 0, 10, 20, 20
    regions = table(path=["a.avi"], x0=[14], y0=[4], x1=[18], y1=[8])
    half = of(regions, tmp_path, size=10, stored=window)["region"][0]
    # left 14 - 10 at half the size
    assert half.sum() == pytest.approx(4, abs=0.1)
    rows, columns = np.nonzero(half > 0.4)
    assert (set(rows), set(columns)) == ({2, 3}, {2, 3})


def test_boxes_of_frames_hold_until_another_is_nearer_and_names_are_regions(table, tmp_path) -> None:
    regions = table(
        path=["a.avi"] * 4,
        region=["valve", "valve", "wall", "valve"],
        frame=[0, 10, None, 10],
        x0=[0, 20, 30, 30],
        y0=[0, 20, 30, 30],
        x1=[5, 25, 35, 35],
        y1=[5, 25, 35, 35],
    )
    found = of(regions, tmp_path, indices=(0, 4, 6, 19))
    assert list(found) == ["valve", "wall"]
    assert found["valve"][:, 2, 2].tolist() == [1, 1, 0, 0]
    assert found["valve"][:, 22, 22].tolist() == [0, 0, 1, 1]
    assert found["valve"][:, 32, 32].tolist() == [0, 0, 1, 1]  # two rows of one frame are joined
    assert found["wall"].sum(axis=(1, 2)).tolist() == [25] * 4


def test_a_mask_is_a_picture_of_the_videos_size(table, tmp_path) -> None:
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[5:9, 6:30] = 200
    Image.fromarray(mask).save(tmp_path / "valve.png")
    found = of(table(path=["a.avi"], mask=["valve.png"]), tmp_path)["region"]
    assert np.array_equal(found[1] > 0, mask > 0)
    Image.fromarray(mask[:30]).save(tmp_path / "valve.png")
    with pytest.raises(UserError, match=r"valve\.png: found 30 x 40 pixels, expected 40 x 40"):
        of(table(path=["a.avi"], mask=["valve.png"]), tmp_path)


def test_videos_without_a_row_have_no_region_and_nobody_knows_the_phase(table, tmp_path) -> None:
    regions = table(path=["b.avi"], x0=[0], y0=[0], x1=[5], y1=[5])
    assert of(regions, tmp_path) == {}
    assert regions.phase(tmp_path / "a.avi", np.array([0])) is None


def test_wrong_tables_say_which_row(table, tmp_path) -> None:
    with pytest.raises(UserError, match=r"row 3: found x 5\.0 to 5\.0, y 0\.0 to 5\.0, expected x0 < x1"):
        table(path=["a.avi"] * 2, x0=[0.0, 5.0], y0=[0.0, 0.0], x1=[5.0, 5.0], y1=[5.0, 5.0])
    with pytest.raises(UserError, match="found the columns path, x0, expected path and"):
        table(path=["a.avi"], x0=[0])
    with pytest.raises(UserError, match=r"none\.csv: no such file"):
        Regions.open(tmp_path / "none.csv")
