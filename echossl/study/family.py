"""The comparisons of a study that are judged together, and their p-values adjusted as a whole."""

from collections.abc import Sequence

from echossl.config.study import StudySettings
from echossl.evaluation.multiplicity import Family
from echossl.study.pooled import ArmResult

METRIC = "auroc"
CORRECTIONS = {"holm": "Holm", "benjamini_hochberg": "Benjamini and Hochberg"}


def declared_members(config: StudySettings) -> list[tuple[str, float]]:
    """Arm and fraction of every comparison with the first arm that the settings declare."""
    arms = config.family.arms or tuple(arm.name for arm in config.arms[1:])
    fractions = config.family.fractions or config.fractions
    return [(arm, fraction) for fraction in fractions for arm in arms]


def adjusted_p_values(config: StudySettings, results: Sequence[ArmResult]) -> dict[tuple[str, float], float]:
    """Adjusted p-value of every comparison of AUROC, by arm and fraction.

    Empty if there is one comparison, which needs no adjustment, or if one is missing: part of a family
    cannot be judged before the rest is known.
    """
    members = {member_name(arm, fraction): (arm, fraction) for arm, fraction in declared_members(config)}
    found = {(one.arm.name, one.fraction): one.against[METRIC].p_value for one in results if one.against}
    if len(members) < 2 or any(member not in found for member in members.values()):
        return {}
    family = Family("comparisons with the first arm", tuple(members))
    raw = {name: found[member] for name, member in members.items()}
    adjusted = family.adjust(raw, config.family.correction)
    return {members[name]: value for name, value in adjusted.items()}


def family_text(config: StudySettings, results: Sequence[ArmResult]) -> str:
    """What was declared, and whether it could be adjusted, in one sentence or two; empty for one arm."""
    members = declared_members(config)
    if not members:
        return ""
    arms = ", ".join(dict.fromkeys(arm for arm, _ in members))
    fractions = ", ".join(f"{100 * fraction:.3g} %" for fraction in dict.fromkeys(one for _, one in members))
    text = f"Family: {config.arms[0].name} against {arms} at {fractions} of the patients"
    if len(members) < 2:
        return f"{text}: one comparison, nothing to adjust."
    if not adjusted_p_values(config, results):
        return f"{text}: not adjusted, because comparisons are missing."
    correction = CORRECTIONS[config.family.correction]
    return f"{text}: {len(members)} comparisons of AUROC, adjusted together by {correction}."


def member_name(arm: str, fraction: float) -> str:
    """Name of a comparison within its family."""
    return f"{arm} at {fraction:g}"
