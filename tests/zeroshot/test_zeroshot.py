"""Labels by words: compared with cosines written out, taken by evaluate, refused where nothing fits."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from aligned_samples import FAST

from echossl.config.evaluation import EvaluationConfig
from echossl.config.zeroshot import ZeroshotConfig
from echossl.data import ClipStore, read_manifest
from echossl.data.requests import read_clip, video_requests
from echossl.encoders.files import load_encoder
from echossl.errors import UserError
from echossl.evaluation.files import evaluate_file
from echossl.objectives import Tripartite
from echossl.objectives.alignment import read_alignments
from echossl.zeroshot import zeroshot

PROMPTS = {
    "severe_as": {
        "negative": ["No aortic stenosis.", "Mild aortic stenosis."],
        "positive": ["Severe aortic stenosis."],
    },
    "as_grade": {
        "none": ["Normal aortic valve."],
        "mild": ["Mild aortic stenosis."],
        "moderate": ["Moderate aortic stenosis."],
        "severe": ["Severe aortic stenosis."],
    },
}


def config_of(pictures: dict[str, Path], run: Path, out: Path, **changes: object) -> ZeroshotConfig:
    settings = {"run": run, "data": pictures, "out": out, "prompts": PROMPTS, "hardware": FAST}
    return ZeroshotConfig.model_validate(settings | changes)


def slow_vectors(pictures: dict[str, Path], run: Path, study: pd.DataFrame, place: int) -> torch.Tensor:
    """The unit vector of one study, picture by picture."""
    encoder, store = load_encoder(run), ClipStore.open(pictures["store"])
    objective = Tripartite.of_alignment(read_alignments(run)["tripartite"])
    features, present = torch.zeros(1, 2, encoder.dim), torch.zeros(1, 2, dtype=torch.bool)
    for slot, view in enumerate(("plax", "a4c")):
        vectors = []
        for row in store.rows_for(study)["row"][(study["view"] == view).to_numpy()]:
            (request,) = video_requests(store, row, encoder.metadata.clip, count=1)
            clip = read_clip(store, request, encoder.metadata.clip)
            vectors.append(encoder(torch.from_numpy(clip)[None, None].float() / 255)[0])
        if vectors:
            features[0, slot], present[0, slot] = torch.stack(vectors).mean(0), True
    return F.normalize(objective.pictures(features, present)[0, place], dim=0)


@pytest.mark.parametrize(("slot", "place"), [("study", 2), ("a4c", 1)])
def test_scores_are_the_softmax_of_cosines_with_the_words(
    pictures: dict[str, Path], run: Path, tmp_path: Path, slot: str, place: int
) -> None:
    path = zeroshot(config_of(pictures, run, tmp_path / "out", slot=slot))
    table = pd.read_csv(path, dtype={"patient_id": str, "study_id": str})
    manifest = read_manifest(pictures["manifest"])
    manifest = manifest[manifest["split"] == "test"]
    wanted = manifest if slot == "study" else manifest[manifest["view"] == slot]
    assert sorted(table["study_id"]) == sorted(set(wanted["study_id"]))
    objective = Tripartite.of_alignment(read_alignments(run)["tripartite"])
    scale = objective.log_scales[place].exp()
    for study_id in table["study_id"][:3]:
        row = table.set_index("study_id").loc[study_id]
        with torch.no_grad():
            picture = slow_vectors(pictures, run, manifest[manifest["study_id"] == study_id], place)
            for column, classes in PROMPTS.items():
                means = []
                for sentences in classes.values():
                    vectors = [F.normalize(objective.texts([one])[0, place], dim=0) for one in sentences]
                    means.append(F.normalize(torch.stack(vectors).mean(0), dim=0))
                shares = torch.softmax(scale * torch.stack(means) @ picture, dim=0).tolist()
                names = [f"{column}_score_{name}" for name in classes]
                if column == "severe_as":
                    names, shares = ["severe_as_score"], shares[1:]
                assert row[names].tolist() == pytest.approx(shares, rel=1e-4)


def test_evaluate_takes_what_was_written(pictures: dict[str, Path], run: Path, tmp_path: Path) -> None:
    config = config_of(pictures, run, tmp_path / "out")
    path = zeroshot(config)
    table = pd.read_csv(path, dtype={"study_id": str})
    assert table.columns[:3].tolist() == ["patient_id", "study_id", "split"]
    assert set(table["split"]) == {"test"}
    known = read_manifest(pictures["manifest"]).groupby("study_id")["severe_as"].max()
    np.testing.assert_array_equal(table["severe_as"], known[table["study_id"]])
    if table["severe_as"].nunique() == 2:
        settings = EvaluationConfig(resamples=100)
        assert {answer.column for answer in evaluate_file(path, settings)} >= {"severe_as"}
    before = path.read_bytes()
    assert zeroshot(config) == path
    assert path.read_bytes() == before


def test_what_is_not_assessed_stays_empty(pictures: dict[str, Path], run: Path, tmp_path: Path) -> None:
    table = read_manifest(pictures["manifest"])
    study = table.loc[table["split"] == "test", "study_id"].iloc[0]
    cells = pd.read_csv(pictures["manifest"], dtype=str)
    cells["path"] = table["path"]
    cells.loc[(table["study_id"] == study).to_numpy(), "severe_as"] = ""
    cells.to_csv(tmp_path / "manifest.csv", index=False)
    data = pictures | {"manifest": tmp_path / "manifest.csv"}
    written = pd.read_csv(zeroshot(config_of(data, run, tmp_path / "out")), dtype=str, keep_default_na=False)
    found = written.set_index("study_id")["severe_as"]
    assert found[study] == ""
    assert set(found.drop(study)) <= {"0", "1"}


def refused(config: ZeroshotConfig) -> str:
    with pytest.raises(UserError) as caught:
        zeroshot(config)
    return str(caught.value)


def test_what_does_not_fit_is_refused_in_a_line(pictures: dict[str, Path], run: Path, tmp_path: Path) -> None:
    def make(name: str, **changes: object) -> ZeroshotConfig:
        return config_of(pictures, run, tmp_path / name, **changes)

    assert "expected one of those of the run: plax, a4c, study" in refused(make("a", slot="psax"))
    two = {"negative": ["No."], "positive": ["Yes."]}
    assert "has_gout" in refused(make("b", prompts={"has_gout": two}))
    grades = {"none": ["Normal."], "severe": ["Severe."]}
    assert "column as_grade: found" in refused(make("c", prompts={"as_grade": grades}))
    assert "no video of split 'dev'" in refused(make("d", split="dev"))
    plain = tmp_path / "plain"
    plain.mkdir()
    assert "no such file; give the folder of a finished pre-training" in refused(
        config_of(pictures, plain, tmp_path / "e")
    )
    for prompts, said in (
        ({"severe_as": {"positive": ["Severe."]}}, "expected two or more"),
        ({"severe_as": {"positive": ["Severe."], "no": ["No."]}}, "with its opposite and nothing else"),
        ({"severe_as": {"positive": ["Severe."], "negative": []}}, "expected one sentence or more"),
    ):
        with pytest.raises(ValueError, match=said):
            make("f", prompts=prompts)
