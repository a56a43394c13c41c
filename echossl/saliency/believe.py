"""Which method may be believed for this model: the checks with intervals, and the rule that decides."""

from dataclasses import dataclass

import pandas as pd

from echossl.config.evaluation import BootstrapConfig
from echossl.config.saliency import CheckName
from echossl.evaluation.bootstrap import Interval
from echossl.saliency.checks import patient_mean
from echossl.saliency.methods import METHODS

KEYS = ["method", "check", "region"]
COLUMNS = [
    *(*KEYS, "studies", "num_studies", "num_patients", "num_without"),
    *("value", "low", "high", "verdict"),
]
NOTHING = "No map shows any evidence in any of these studies, so there is nothing to check.\n"
GROUPS = {"all": (0, 1), "positive": (1,), "negative": (0,)}
FEWEST_PATIENTS = 10
YES, NO, OPEN, UNTESTED = "yes", "no", "undecided", "not tested"
RULE = """\
A method may be believed for this model if, over all studies, the whole interval lies on the right side of
the limit in every one of these checks:

1. its map of the network with all weights random agrees with the model's by a rank correlation below
   {limit:g};
2. so does its map of a head that learned shuffled labels;
3. taking the clip away, and building it up, in the order of the map moves the score more than in the order
   of the picture's middle, and
4. more than in the order of the map of random weights (area between insertion and deletion above 0).

*no*: an interval lies wholly on the wrong side. *undecided*: a limit lies in an interval, there is no figure,
or there are fewer than {fewest} patients, of whom a bootstrap says too little; more studies may decide.
*not tested*: it passed what was checked, which was not all. Where a map points (enrichment, pointing) is no
part of the rule: it is a finding about the model, worth as much as the method."""
# the checks that decide, by the setting that asks for them; the last have to be above 0, the others low
CRITERIA: dict[CheckName, tuple[str, ...]] = {
    "model_randomisation": ("random_weights_all",),
    "label_randomisation": ("shuffled_labels",),
    "deletion_insertion": ("faithfulness_over_centre_prior", "faithfulness_over_random_weights"),
}


@dataclass(frozen=True)
class Rule:
    """What a method has to pass.

    Attributes:
        which: the checks that were made.
        most_correlation: the largest rank correlation with a map of random weights or labels that passes.
    """

    which: tuple[CheckName, ...]
    most_correlation: float

    def verdict(self, check: str, figure: Interval, num_patients: int) -> str:
        """Of one check: ``yes``, ``no``, ``undecided`` (the limit is inside); empty: no part of it."""
        criteria = {name for names in CRITERIA.values() for name in names}
        if check in criteria and num_patients < FEWEST_PATIENTS:
            return OPEN
        if check in CRITERIA["deletion_insertion"]:
            return _side(figure.low > 0, figure.high <= 0)
        if check in CRITERIA["model_randomisation"] + CRITERIA["label_randomisation"]:
            limit = self.most_correlation
            return _side(figure.high < limit, figure.low >= limit)
        return ""

    def overall(self, verdicts: dict[str, str]) -> str:
        """Of a method, from the verdicts of its checks among all studies."""
        decisive = [verdicts.get(check, OPEN) for name in self.which for check in CRITERIA[name]]
        if NO in decisive:
            return NO
        if OPEN in decisive:
            return OPEN
        # what was not checked cannot be believed
        return YES if set(self.which) == set(CRITERIA) else UNTESTED

    def as_text(self) -> str:
        """The rule as it is printed below the table."""
        return RULE.format(limit=self.most_correlation, fewest=FEWEST_PATIENTS)


def _side(right: bool, wrong: bool) -> str:
    return YES if right else NO if wrong else OPEN


def summarise_checks(figures: pd.DataFrame, rule: Rule, config: BootstrapConfig) -> pd.DataFrame:
    """Means over studies with patient-bootstrap intervals, of all, positive and negative studies.

    Args:
        figures: one row per video and figure: ``patient_id, study_id, label, method, check, region, value``.
        rule: what has to be passed.
        config: resamples, confidence, seed.

    Returns:
        ``method, check, region, studies, num_studies, num_patients, num_without, value, low, high, verdict``;
        a study's figure is the mean of its videos', ``num_without`` counts studies without any.
    """
    rows = []
    for keys, own in figures.groupby(KEYS, sort=False):
        for group, labels in GROUPS.items():
            studies = own[own["label"].isin(labels)].groupby(["patient_id", "study_id"])["value"].mean()
            usable = studies.dropna()
            if usable.empty:
                continue
            patients = usable.index.get_level_values("patient_id").to_numpy()
            figure = patient_mean(usable.to_numpy(), patients, config)
            rows.append(
                {
                    **dict(zip(KEYS, keys, strict=True)),
                    "studies": group,
                    "num_studies": len(usable),
                    "num_patients": len(set(patients)),
                    "num_without": len(studies) - len(usable),
                    "value": figure.value,
                    "low": figure.low,
                    "high": figure.high,
                    "verdict": rule.verdict(str(keys[1]), figure, len(set(patients))),
                }
            )
    return pd.DataFrame(rows, columns=COLUMNS)


def verdicts(table: pd.DataFrame, rule: Rule) -> dict[str, str]:
    """Whether each method may be believed, from the summary."""
    every = table[table["studies"] == "all"]
    return {
        str(method): rule.overall(dict(zip(own["check"], own["verdict"], strict=True)))
        for method, own in every.groupby("method", sort=False)
    }


@dataclass(frozen=True)
class Believed:
    """One method in the table of belief.

    Attributes:
        title: of the method.
        verdict: ``yes``, ``no``, ``undecided`` or ``not tested``.
        figures: mean and ends of its interval for each check of :func:`decisive_checks`; None without any.
    """

    title: str
    verdict: str
    figures: tuple[tuple[float, float, float] | None, ...]


def decisive_checks(table: pd.DataFrame, rule: Rule) -> list[str]:
    """Columns of the table of belief: the checks that decide, then where the map points, by region."""
    columns = [check for name in rule.which for check in CRITERIA[name]]
    every = table[table["studies"] == "all"]
    for region in [name for name in dict.fromkeys(every["region"]) if name]:
        columns += [f"{check}_over_centre_prior {region}" for check in ("enrichment", "pointing")]
    return columns


def believed(table: pd.DataFrame, rule: Rule) -> list[Believed]:
    """A line per method of a summary from :func:`summarise_checks`."""
    every, columns = table[table["studies"] == "all"], decisive_checks(table, rule)
    return [
        Believed(
            METHODS[method].title,
            verdict,
            tuple(_figure(every[every["method"] == method], *_check_and_region(name)) for name in columns),
        )
        for method, verdict in verdicts(table, rule).items()
    ]


def counted(table: pd.DataFrame, config: BootstrapConfig) -> str:
    """What the intervals of a summary stand on, in two sentences."""
    every = table[table["studies"] == "all"]
    return (
        f"{every['num_patients'].max()} patients, {every['num_studies'].max()} studies. Mean over studies "
        f"with the {config.confidence:.0%} percentile interval of {config.resamples} resamples of patients "
        f"(seed {config.seed})."
    )


def as_markdown(table: pd.DataFrame, rule: Rule, config: BootstrapConfig) -> str:
    """The page ``checks.md``: one line per method with its verdict, the rule, then every figure."""
    every = table[table["studies"] == "all"]
    if every.empty:
        return f"# Checks of the saliency maps\n\n{NOTHING}"
    titles = [name.replace("_", " ") for name in decisive_checks(table, rule)]
    lines = [f"| method | may be believed | {' | '.join(titles)} |", "|---" * (len(titles) + 2) + "|"]
    for one in believed(table, rule):
        cells = [_cell(figure) for figure in one.figures]
        lines.append(f"| {one.title} | **{one.verdict}** | {' | '.join(cells)} |")
    parts = ["# Checks of the saliency maps", "\n".join(lines), counted(table, config), rule.as_text()]
    parts.append("## Every figure")
    return "\n\n".join([*parts, _every_figure(table)]) + "\n"


def _check_and_region(column: str) -> tuple[str, str]:
    check, _, region = column.partition(" ")
    return check, region


def _figure(own: pd.DataFrame, check: str, region: str) -> tuple[float, float, float] | None:
    found = own[(own["check"] == check) & (own["region"] == region)]
    if found.empty:
        return None
    row = found.iloc[0]
    return float(row["value"]), float(row["low"]), float(row["high"])


def _cell(figure: tuple[float, float, float] | None) -> str:
    return "none" if figure is None else "{:.2f} ({:.2f} to {:.2f})".format(*figure)


def _every_figure(table: pd.DataFrame) -> str:
    lines = ["| method | check | region | studies | n | value (interval) | passes |", "|---" * 7 + "|"]
    for row in table.to_dict("records"):
        # one patient is always drawn, which would look like certainty
        ends = "one patient" if row["num_patients"] == 1 else f"{row['low']:.3f} to {row['high']:.3f}"
        value = f"{row['value']:.3f} ({ends})"
        words = [METHODS[row["method"]].title, row["check"].replace("_", " "), row["region"], row["studies"]]
        lines.append(f"| {' | '.join(words)} | {row['num_studies']} | {value} | {row['verdict']} |")
    return "\n".join(lines)
