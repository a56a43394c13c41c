"""The source axes of a study: which sources a cell is pre-trained on, adapted to and tested on. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from echossl.config.across import LabelledSource
from echossl.config.data import DataConfig
from echossl.config.study import ArmConfig, StudyConfig
from echossl.data.labels import class_map_of
from echossl.errors import UserError

Sources = tuple[LabelledSource, ...]


@dataclass(frozen=True)
class Place:
    """Where a cell stands on the source axes.

    Attributes:
        name: in names of folders: ``SOURCE``, ``SOURCE_for_TESTED`` or ``without_TESTED``.
        pretrained: sources whose videos its pre-training sees; empty without one.
        adapted: sources whose labels it learns from.
        tested: sources whose test split it predicts.
    """

    name: str
    pretrained: Sources
    adapted: Sources
    tested: Sources

    @property
    def pretrained_name(self) -> str:
        """Names of the sources of the pre-training, as in the name of its folder."""
        return "+".join(source.name for source in self.pretrained)

    @property
    def pretraining_data(self) -> DataConfig:
        """The first source of the pre-training, beside which the others are fused."""
        return _data(self.pretrained)

    @property
    def adaptation_data(self) -> DataConfig:
        """The first source that is adapted to."""
        return _data(self.adapted)


def places(config: StudyConfig, arm: ArmConfig) -> list[Place]:
    """Every place at which an arm is adapted and tested, in the order of the sources.

    ``adapt_on: each`` is a row of the train x test matrix for each source. Where the pre-training sees
    ``all_but_tested``, a row falls apart into a place for each other source. ``all_but_one`` leaves one
    source out at a time; whether that one is there unlabelled, is what the pre-training sees: ``all``, or
    ``adapted`` (which is then the same as ``all_but_tested``).
    """
    sources = config.sources
    which = _which(config, arm)
    if arm.adapt_on == "all_but_one":
        return [
            _place(f"without_{held_out.name}", sources, _without(sources, held_out), (held_out,), which)
            for held_out in sources
        ]
    if which == "all_but_tested":
        return [
            _place(f"{own.name}_for_{other.name}", sources, (own,), (other,), which)
            for own in sources
            for other in _without(sources, own)
        ]
    return [_place(own.name, sources, (own,), sources, which) for own in sources]


def pretrained_places(config: StudyConfig, pretraining: str) -> list[Place]:
    """A place for each set of sources that a pre-training is repeated on; none without several sources."""
    found: dict[str, Place] = {}
    for arm in config.arms:
        if config.sources and arm.pretraining == pretraining:
            for place in places(config, arm):
                found.setdefault(place.pretrained_name, place)
    return list(found.values())


def classes_of(config: StudyConfig) -> tuple[str, ...]:
    """The one list of classes of all sources.

    Raises:
        UserError: if neither the settings nor the name of the column say it.
    """
    class_map = class_map_of(config.column)
    classes = config.classes or (class_map.classes if class_map else ())
    if not classes:
        raise UserError(f"classes: {config.column} is not the name of a class map; give its classes in order")
    for source in config.sources:
        strange = [name for name in source.assessed if name not in classes]
        if strange:
            raise UserError(
                f"assessed of source {source.name}: {strange[0]!r} is none of "
                f"the classes {', '.join(classes)}"
            )
    return classes


def shared_classes(classes: Sequence[str], adapted: Sources, tested: LabelledSource) -> tuple[str, ...]:
    """Classes that a source and those that are learned from have in common, in the order of the list.

    Raises:
        UserError: if they are fewer than two.
    """
    learned = {name for source in adapted for name in source.assessed or classes}
    shared = tuple(name for name in classes if name in learned and name in (tested.assessed or classes))
    if len(shared) < 2:
        names = ", ".join(source.name for source in adapted)
        raise UserError(
            f"sources: {names} and {tested.name} have {len(shared)} assessed classes in common, expected two "
            "or more; leave one of the sources out"
        )
    return shared


def require_classes(config: StudyConfig) -> None:
    """Raise UserError unless the classes are known, and every test has two that both sides assess."""
    classes = classes_of(config)
    for arm in config.arms:
        for place in places(config, arm):
            for tested in place.tested:
                shared_classes(classes, place.adapted, tested)


def _place(name: str, sources: Sources, adapted: Sources, tested: Sources, which: str | None) -> Place:
    seen = {
        None: (),
        "all": sources,
        "adapted": adapted,
        "all_but_tested": tuple(source for source in sources if source not in tested),
    }
    return Place(name, seen[which], adapted, tested)


def _which(config: StudyConfig, arm: ArmConfig) -> str | None:
    found = (one.sources.which for one in config.pretrainings if one.name == arm.pretraining)
    return next(found, None)


def _without(sources: Sources, one: LabelledSource) -> Sources:
    return tuple(source for source in sources if source != one)


def _data(sources: Sources) -> DataConfig:
    return DataConfig(manifest=sources[0].manifest, store=sources[0].store)
