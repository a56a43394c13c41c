"""The hospitals of the phantom: what differs between their pictures, and whom and what they label."""

from dataclasses import dataclass

from echossl.config.phantom import SourceName
from echossl.data.severity import GRADES

STENOSIS = "aortic_stenosis"
ATRIUM, HYPERTROPHY, EFFUSION = (
    "left_atrial_enlargement",
    "left_ventricular_hypertrophy",
    "pericardial_effusion",
)
# of these the last three are drawn apart from the valve
FINDINGS = (STENOSIS, ATRIUM, HYPERTROPHY, EFFUSION)
UNCERTAIN = "uncertain"


@dataclass(frozen=True)
class Maker:
    """A hospital with its scanner.

    Attributes:
        grey_exponent: grey values of 0-1 are raised to this: below 1 the picture is flat, above 1 hard.
        speckle: factor of the size of the speckle.
        extra_degrees: added to half of the opening of the fan.
        words: one of these stands above the fan; none for the words of the view.
        burnt_in: written over the picture inside the fan, where no mask of the sector removes it.
        grades: its patients have one of these.
        assessed: findings that it looks at; the cells of the others are empty.
        doubt: what it writes where a reader is in doubt.
    """

    grey_exponent: float = 1.0
    speckle: float = 1.0
    extra_degrees: float = 0.0
    words: tuple[str, ...] = ()
    burnt_in: str = ""
    grades: tuple[str, ...] = GRADES
    assessed: tuple[str, ...] = FINDINGS
    doubt: str = ""


MAKERS: dict[SourceName, Maker] = {
    "phantom": Maker(),
    "harbour": Maker(
        grey_exponent=0.75,
        speckle=1.5,
        words=("HBR", "Cardiac"),
        grades=("none", "moderate", "severe"),
        assessed=(STENOSIS, ATRIUM, HYPERTROPHY),
    ),
    "hill": Maker(
        grey_exponent=1.35,
        speckle=0.75,
        extra_degrees=-8.0,
        words=("Hill 3",),
        burnt_in="HILL",
        grades=("none", "mild", "severe"),
        assessed=(STENOSIS, ATRIUM, EFFUSION),
    ),
    "lake": Maker(
        grey_exponent=1.0,
        speckle=1.25,
        extra_degrees=6.0,
        words=("LAKE", "Echo lab"),
        grades=("none", "severe"),
        doubt=UNCERTAIN,
    ),
}
