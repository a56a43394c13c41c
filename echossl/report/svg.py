"""From a matplotlib figure to an SVG element of the page: real text, the page's colours, no foreign names."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

# Colours that stand for a variable of the style sheet, so that a figure follows light and dark mode. The hex
# values are only placeholders that nothing else uses.
INK, MUTED, RULE, PAPER = "#010203", "#010204", "#010205", "#010206"
NUM_ARM_COLOURS = 7
# of a figure that fills a phone
WIDTH_INCHES = 4.6
_VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule", PAPER: "--paper"}
_VARIABLES |= {f"#0101{number:02x}": f"--arm-{number}" for number in range(NUM_ARM_COLOURS)}

RC: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "echossl",
    "text.parse_math": False,  # a dollar in a name is a dollar
    "font.size": 9.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


def arm_colour(number: int) -> str:
    """Placeholder of the colour of the arm with this place in the page."""
    return f"#0101{number % NUM_ARM_COLOURS:02x}"


@contextmanager
def figure_style() -> Iterator[None]:
    """Within this context, matplotlib draws in the page's style."""
    with style.context(RC):
        yield


def to_svg(figure: Figure, *, name: str, alternative: str) -> str:
    """Render a figure as one ``<svg role="img">`` element.

    Args:
        figure: drawn inside :class:`figure_style`.
        name: unique on the page; goes before every identifier.
        alternative: what the figure shows, for those who do not see it.
    """
    buffer = io.StringIO()
    with figure_style():
        figure.savefig(buffer, format="svg", metadata=NO_METADATA)
    body = buffer.getvalue()
    width, height = (72 * side for side in figure.get_size_inches())
    view_box = f"0 0 {width:g} {height:g}"
    inner = body[body.index(">", body.index("<svg")) + 1 : body.rindex("</svg>")]
    label = escape(alternative, quote=True)
    # a point is 4/3 pixels; a figure that grew further would have larger text than the page
    widest = width * 4 / 3 * 1.2
    limit = f'style="max-width: {widest:.0f}px"'
    head = f'<svg class="figure" role="img" aria-label="{label}" viewBox="{view_box}" {limit}>'
    return f"{head}{_clean(inner, name)}</svg>"


def _clean(inner: str, name: str) -> str:
    inner = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", inner, flags=re.DOTALL)
    inner = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', inner)
    inner = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{name}-\1"', inner)
    inner = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", inner)
    # the page's own type face; only the size is the figure's
    inner = re.sub(r"font-family: [^;]+; ", "", inner)
    for placeholder, variable in _VARIABLES.items():
        inner = inner.replace(placeholder, f"var({variable})")
    return inner.strip()
