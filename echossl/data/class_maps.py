"""The named class maps: which raw values make which class, by which rule, from which source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from echossl.data.severity import GRADES

Kind = Literal["binary", "multiclass", "ordinal"]


@dataclass(frozen=True)
class ClassMap:
    """A named set of classes, so that a result can say which rule its labels follow.

    Attributes:
        name: printed with every result; a manifest column of this name holds the classes.
        kind: ``binary`` columns hold 0 or 1, the others the names of their classes.
        classes: the classes in order; a label is an index into them.
        rule: the boundaries in words, with units.
        source: guideline or data set.
        values: raw value (lower case) to class.
        below: where raw values are percentages: those below it are the second class, the others the first.
    """

    name: str
    kind: Kind
    classes: tuple[str, ...]
    rule: str
    source: str
    values: Mapping[str, str] = field(default_factory=dict)
    below: float | None = None

    def describe(self) -> str:
        """One line for reports: name, kind, classes, boundaries, source."""
        return f"{self.name} ({self.kind}: {' / '.join(self.classes)}): {self.rule} [{self.source}]"


_ACC_AHA = "2020 ACC/AHA guideline for valvular heart disease"
_EACVI_ASE = "2017 EACVI/ASE recommendations on aortic valve stenosis"
_TMED = "TMED-2, Huang et al., 2022"
_TMED_MAPS = "label maps in use with TMED-2"
_PANECHO = "PanEcho, Holste et al., 2025"
_UPPER = "moderate from 3.0 m/s or 20 mmHg; severe from 4.0 m/s or 40 mmHg"
_GRADES: dict[str, str] = {grade: grade for grade in GRADES}


def _grades(name: str, mild_from_m_per_s: float, source: str) -> ClassMap:
    """The four grades; guidelines differ in where mild begins."""
    rule = f"mild from {mild_from_m_per_s} m/s; {_UPPER}"
    return ClassMap(name, "ordinal", GRADES, rule, source, _GRADES)


def _grades_from(name: str, classes: tuple[str, str], positive: tuple[str, ...], rule: str) -> ClassMap:
    """A binary cut of the four grades."""
    values: dict[str, str] = {grade: classes[grade in positive] for grade in GRADES}
    return ClassMap(name, "binary", classes, rule, _ACC_AHA, values)


def _tmed(name: str, kind: Kind, source: str, values: Mapping[str, str]) -> ClassMap:
    """A map of the five diagnoses of TMED-2; the order of the values is the order of the classes."""
    classes = tuple(dict.fromkeys(values.values()))
    rule = "; ".join(
        f"{name} is {', '.join(raw for raw in values if values[raw] == name)}" for name in classes
    )
    return ClassMap(name, kind, classes, rule, source, {raw.lower(): own for raw, own in values.items()})


def _tmed_values(*classes: str) -> dict[str, str]:
    names = ("no_AS", "mild_AS", "mildtomod_AS", "moderate_AS", "severe_AS")
    return dict(zip(names, classes, strict=True))


def _ejection_fraction_below(percent: int) -> ClassMap:
    classes = (f"{percent} % or more", f"below {percent} %")
    rule = f"ejection fraction below {percent} %"
    return ClassMap(f"ef_below_{percent}", "binary", classes, rule, "a common cut", below=percent)


_MAPS = (
    _grades("as_acc_aha_2020", 2.0, _ACC_AHA),
    _grades("as_eacvi_ase_2017", 2.6, _EACVI_ASE),
    _grades_from(
        "as_severe",
        ("not severe", "severe"),
        ("severe",),
        "severe from a peak velocity of 4.0 m/s or a mean gradient of 40 mmHg",
    ),
    _grades_from(
        "as_significant",
        ("not significant", "significant"),
        ("moderate", "severe"),
        "moderate or severe, from a peak velocity of 3.0 m/s or a mean gradient of 20 mmHg",
    ),
    _grades_from(
        "as_any",
        ("no stenosis", "stenosis"),
        ("mild", "moderate", "severe"),
        "mild or more, from a peak velocity of 2.0 m/s or a mean gradient of 20 mmHg",
    ),
    _tmed("tmed_3class", "ordinal", _TMED, _tmed_values("none", *["early"] * 2, *["significant"] * 2)),
    _tmed("tmed_binary", "binary", _TMED_MAPS, _tmed_values("no stenosis", *["stenosis"] * 4)),
    _tmed(
        "tmed_mod_severe",
        "ordinal",
        _TMED_MAPS,
        _tmed_values("none", *["mild to moderate"] * 3, "severe"),
    ),
    _tmed("tmed_4class", "ordinal", _TMED_MAPS, _tmed_values("none", "mild", "mild", "moderate", "severe")),
    _tmed(
        "tmed_5class",
        "ordinal",
        _TMED_MAPS,
        _tmed_values("none", "mild", "mild to moderate", "moderate", "severe"),
    ),
    ClassMap(
        "panecho_as",
        "ordinal",
        ("none", "mild or moderate", "severe"),
        "as reported by the reader; mild and moderate are one class",
        _PANECHO,
        {"none": "none", "mild": "mild or moderate", "moderate": "mild or moderate", "severe": "severe"},
    ),
    _ejection_fraction_below(50),
    _ejection_fraction_below(40),
)
CLASS_MAPS: dict[str, ClassMap] = {class_map.name: class_map for class_map in _MAPS}
