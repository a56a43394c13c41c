"""What is said of a question that is no yes or no, and the labelled rows of one split that it stands on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from echossl.config.evaluation import EvaluationConfig
from echossl.evaluation.assessment import Figure, as_plain, definition_of
from echossl.evaluation.intervals import Method, figure_intervals
from echossl.evaluation.resampling import Clusters, Figures

Kind = Literal["classes", "grades", "findings", "measurement", "left_out"]


@dataclass(frozen=True)
class Summary:
    """One split of a question that is no yes or no.

    Attributes:
        kind: ``classes`` without an order, ``grades``, ``findings`` (several yes or no), ``measurement``; or
            ``left_out``, of any question that the split cannot answer, for the reason in ``notes``.
        source: the table.
        column: the label column; of findings all of them, with commas.
        split: the split that was judged.
        unit: what a row is.
        patients: different ones.
        studies: rows with a label; of findings with any.
        unlabelled: rows without one, over the whole table.
        groups: rows of each class, or positive rows of each finding.
        figures: such as ``macro_auroc``, ``quadratic_kappa``, ``mae``.
        confusion: rows by true class and called class, in the order of ``groups``; empty without classes.
        measured: of a measurement, (studies,); else empty.
        predicted: beside it, (studies,).
        notes: what was left out, and which settings have no effect here, in sentences.
        config: all settings.
    """

    kind: Kind
    source: str
    column: str
    split: str
    unit: str
    patients: int
    studies: int
    unlabelled: int
    groups: dict[str, int]
    figures: dict[str, Figure]
    confusion: tuple[tuple[int, ...], ...]
    measured: tuple[float, ...]
    predicted: tuple[float, ...]
    notes: tuple[str, ...]
    config: EvaluationConfig

    @property
    def definition(self) -> str:
        """How the intervals were made, in one sentence: there are no two classes to keep apart here."""
        made = {"method": method_of(self.config), "stratified": False}
        return definition_of(self.config.model_copy(update=made))

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON; a number that is NaN or infinite is None."""
        parts = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "config"}
        settings = self.config.model_dump(mode="json")
        plain: dict[str, Any] = as_plain(parts | {"definition": self.definition, "settings": settings})
        return plain


@dataclass(frozen=True)
class LabelledRows:
    """The labelled rows of one split.

    Attributes:
        source: the table.
        split: which split.
        table: its rows that have a label.
        unlabelled: rows of the whole table that have none.
        config: of the intervals.
    """

    source: Path
    split: str
    table: pd.DataFrame
    unlabelled: int
    config: EvaluationConfig

    @classmethod
    def of(
        cls, source: Path, table: pd.DataFrame, known: npt.ArrayLike, split: str, config: EvaluationConfig
    ) -> "LabelledRows":
        """The rows of a split among those that have a label, ``known`` (rows,)."""
        on = np.asarray(known, dtype=bool)
        return cls(source, split, table[on & (table["split"] == split).to_numpy()], int((~on).sum()), config)

    def summary(
        self,
        kind: Kind,
        column: str,
        figures: Figures,
        names: Sequence[str],
        *,
        notes: tuple[str, ...] = (),
        **parts: Any,
    ) -> Summary:
        """Figures by their names with intervals over the patients; ``parts`` are attributes of Summary."""
        method = method_of(self.config)
        # patients are drawn alike: there are no two classes to keep apart
        clusters = Clusters.of(self.table["patient_id"].to_numpy())
        found = figure_intervals(figures, clusters, self.config, method=method)
        named = {name: Figure.by(method, one) for name, one in zip(names, found, strict=True)}
        return self._said(kind, column, (*notes, *_without_effect(self.config)), figures=named, **parts)

    def left_out(self, column: str, reason: str) -> Summary:
        """No figures, for a reason in a sentence."""
        return self._said("left_out", column, (reason,))

    def _said(self, kind: Kind, column: str, notes: tuple[str, ...], **parts: Any) -> Summary:
        given: dict[str, Any] = {
            "groups": {},
            "figures": {},
            "confusion": (),
            "measured": (),
            "predicted": (),
        }
        return Summary(
            kind=kind,
            source=str(self.source),
            column=column,
            split=self.split,
            unit=self.table.attrs["unit"],
            patients=self.table["patient_id"].nunique(),
            studies=len(self.table),
            unlabelled=self.unlabelled,
            notes=notes,
            config=self.config,
            **(given | parts),
        )


def method_of(config: EvaluationConfig) -> Method:
    """The method of figures that DeLong's is not made for."""
    return "percentile" if config.method == "delong" else config.method


def _without_effect(config: EvaluationConfig) -> Iterator[str]:
    if config.scale != "auto":
        yield f"scale={config.scale} is for the calibration of a single yes or no; here nothing is calibrated"
    if config.stratified:
        yield "stratified=true is for a single yes or no; here all patients are drawn alike"
    if config.method == "delong":
        yield "method=delong is for the AUROC of a single yes or no; here intervals are percentiles"
