"""What arms and pre-trainings of a study of one source can be told: other sources, networks of their own."""

from pathlib import Path

from small_sources import RECIPE, settings

from echossl.config.study import StudyConfig
from echossl.study.cells import plan_cells, plan_pretrainings


def test_a_study_of_one_source_may_fuse_others_and_has_networks_by_arm(
    sources: list[dict], tmp_path: Path
) -> None:
    content = settings(sources, tmp_path)
    data = {name: sources[0][name] for name in ("manifest", "store")}
    other = {name: sources[1][name] for name in ("name", "manifest", "store")}
    one = {name: value for name, value in content["pretrainings"][2].items() if name != "sources"}
    for name in ("sources", "classes"):
        content.pop(name)
    content |= {"data": data, "pretrainings": [one | {"fusion": {"sources": [other]}}]}
    arms = [{"name": "a", "title": "A", "start": "all", "recipe": RECIPE}]
    arms += [{"name": "b", "title": "B", "encoder": {"name": "resnet50"}, "recipe": RECIPE}]
    config = StudyConfig.model_validate(content | {"arms": arms})
    assert [one.fusion.sources[0].name for one in plan_pretrainings(config)] == ["south"]
    assert [cell.config.encoder.name for cell in plan_cells(config)] == ["vit", "resnet50"]
