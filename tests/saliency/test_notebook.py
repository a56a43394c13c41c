"""The notebook is executed on a small run, with widgets and without; what it stands on is tried alone."""

import base64
import io
import json
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from echossl.config.evaluation import BootstrapConfig
from echossl.config.explain import ExplainConfig
from echossl.errors import UserError
from echossl.saliency.explain import explain
from echossl.saliency.explore import explore
from echossl.saliency.viewer import Viewer, layers_of, read_checks, side_by_side

NOTEBOOK = Path(__file__).resolve().parents[2] / "experiments" / "notebooks" / "saliency.ipynb"


@pytest.fixture(scope="module")
def viewer(study):
    return Viewer.open(study / "run", region=study / "phantom")


def test_every_study_of_the_split_can_be_picked(study, viewer) -> None:
    predicted = pd.read_csv(study / "run" / "predictions.csv", dtype={"study_id": str})
    assert set(viewer.studies["study_id"]) == set(predicted["study_id"])
    assert viewer.studies["label"].is_monotonic_decreasing
    with pytest.raises(UserError, match="found 0 videos, asked for number 0"):
        viewer.maps("nobody")
    assert not (study / "run" / "saliency").exists()


def test_maps_are_those_that_explain_writes(study, viewer) -> None:
    out = explain(
        ExplainConfig(
            run=study / "run", out=study / "beside", studies=2, bootstrap=BootstrapConfig(resamples=100)
        )
    )
    row = pd.read_csv(out / "saliency.csv", dtype={"study_id": str}).iloc[0]
    with np.load(out / row["folder"] / "maps.npz", allow_pickle=False) as written:
        found = viewer.maps(row["study_id"])
        assert np.array_equal(found.frames, written["frames"])
        assert np.allclose(found.saliency["grad_cam"], written["saliency"], atol=1e-6)


def test_a_film_holds_every_frame_and_says_what_it_shows(viewer) -> None:
    study_id = viewer.studies["study_id"][0]
    film = viewer.film(study_id)
    with av.open(io.BytesIO(film.content)) as opened:
        assert sum(1 for _ in opened.decode(video=0)) == 8
    html = film._repr_html_()
    assert base64.b64encode(film.content).decode() in html
    assert f'aria-label="study {study_id}, video' in html
    assert "severe_as: 1, score" in film.words


def test_layers_are_listed_with_their_cells(viewer) -> None:
    layers = layers_of(viewer.model.encoder)
    assert next(iter(layers)) == "input"
    assert layers["input"] == 1
    assert layers["feature_map"] == 16
    sizes = list(layers.values())
    assert sizes == sorted(sizes)


def test_models_side_by_side_see_the_same_frames(study, viewer) -> None:
    study_id = viewer.studies["study_id"][0]
    rows = {"last": viewer, "early": viewer.at_layer("layer1")}
    picture = np.asarray(side_by_side(rows, study_id, columns=3))
    assert picture.shape[1] == 3 * 256
    first, second = picture[256 + 44 : 512 + 44], picture[512 + 68 : 768 + 68]
    assert first.shape == second.shape
    assert not np.array_equal(first, second)
    shorter = Viewer.open(study / "run").at_layer("layer2")
    clip = shorter.model.encoder.metadata.clip.model_copy(update={"num_frames": 4})
    shorter.model.encoder.describe(clip=clip)
    with pytest.raises(UserError, match="do not see the same frames"):
        side_by_side({"one": viewer, "other": shorter}, study_id)


def test_widgets_follow_layer_and_time(viewer) -> None:
    pytest.importorskip("ipywidgets")
    studies = viewer.studies["study_id"].tolist()
    box = explore(viewer, ["layer1", "feature_map"], studies, widgets=True)
    study, layer, (_, frame), picture = (
        box.children[0],
        box.children[1],
        box.children[2].children,
        box.children[3],
    )
    assert (study.value, layer.value, frame.max) == (studies[0], "feature_map", 7)
    expected = viewer.pictures(studies[0])
    frame.value = 5
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture.value))), expected[5])
    layer.value = "layer1"
    shown = np.asarray(Image.open(io.BytesIO(picture.value)))
    assert np.array_equal(shown, viewer.at_layer("layer1").pictures(studies[0])[5])
    assert not np.array_equal(shown, expected[5])


def test_without_widgets_there_is_a_picture(viewer) -> None:
    picture = explore(viewer, ["layer1", "feature_map"], viewer.studies["study_id"].tolist(), widgets=False)
    assert isinstance(picture, Image.Image)


def test_checks_that_were_not_made_say_how_to_make_them(tmp_path) -> None:
    with pytest.raises(UserError, match="run echossl explain RUN --methods all --checks"):
        read_checks(tmp_path)


def test_the_notebook_is_stored_without_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            assert cell["execution_count"] is None
            assert len(cell["source"]) <= 12  # what it does lies in the package


def test_the_notebook_runs_from_first_to_last_cell(study) -> None:
    nbclient = pytest.importorskip("nbclient", reason="install echossl[notebook]")
    nbformat = pytest.importorskip("nbformat")
    checks = explain(
        ExplainConfig(
            run=study / "run",
            out=study / "for-notebook",
            studies=2,
            region=study / "phantom",
            bootstrap=BootstrapConfig(resamples=100),
        )
    )
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    names = [line.partition(" = ")[0] for line in parameters.source.splitlines() if " = " in line]
    assert names == ["START", "RUN", "OTHER", "REGION", "CHECKS", "METHOD", "OUTPUT", "WIDGETS"]
    values = (str(study), "run", "run", "phantom", checks.name, "grad_cam", None, False)
    parameters.source = "from pathlib import Path\n" + "\n".join(
        f"{name} = {value!r}" for name, value in zip(names, values, strict=True)
    )
    for cell in notebook.cells:  # occlusion takes longest, and has tests of its own
        cell.source = cell.source.replace('method="occlusion"', 'method="grad_cam"')
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    shown = [output for cell in code for output in cell.outputs]
    assert not [output for output in shown if output.output_type == "error"]
    kinds = [kind for output in shown for kind in output.get("data", {})]
    assert kinds.count("image/png") >= 4
    films = [
        output.data["text/html"]
        for output in shown
        if "<video" in output.get("data", {}).get("text/html", "")
    ]
    assert len(films) == 1
