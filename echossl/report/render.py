"""One self-contained HTML file: text, tables, figures, films, style and script. It needs no network."""

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from echossl import __version__
from echossl.errors import UserError
from echossl.evaluation import Difference, Interval, format_p_value
from echossl.files import write_text
from echossl.report import figures
from echossl.report.page import ReportPage
from echossl.report.svg import NUM_ARM_COLOURS

FOLDER = Path(__file__).parent


def write_report(page: ReportPage, path: Path) -> None:
    """Write the page as one HTML file, whole or not at all.

    Args:
        page: what stands on it; films and strips that are paths are read and embedded.
        path: the file, ``report.html``.

    Raises:
        UserError: if there is no result, or a film or strip is not there.
    """
    if not page.results:
        raise UserError(f"{path}: no result to report; finish at least one arm first")
    write_text(path, render(page))


def render(page: ReportPage) -> str:
    """The page as HTML text; see :func:`write_report`."""
    script = _asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    html: str = (
        _environment()
        .get_template("report.html.j2")
        .render(
            page=page,
            drawn=_figures(page),
            style=Markup(_asset("report.css")),  # noqa: S704 - the package's own file
            script=Markup(script),  # noqa: S704 - the package's own file
            script_digest=digest,
            version=__version__,
        )
    )
    return html


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "data_url": _data_url,
        "dashes": _dashes,
        "number": _number,
        "p_value": format_p_value,
        "percent": lambda share: f"{100 * share:.3g} %",
        "range": _range,
        "signed": _signed,
        "signed_range": _signed_range,
        "colour": lambda number: f"var(--arm-{number % NUM_ARM_COLOURS})",
    }
    return environment


def _figures(page: ReportPage) -> dict[str, Markup]:
    """Every figure that the page has data for; matplotlib has escaped the text within."""
    drawn = {"results": figures.results_figure(page)}
    if len({line.num_labelled_patients for line in page.results}) > 1:
        drawn["efficiency"] = figures.efficiency_figure(page)
    if page.differences:
        drawn["differences"] = figures.differences_figure(page)
    if page.roc:
        drawn["roc"] = figures.roc_figure(page)
    for number, curve in enumerate(page.training):
        drawn[f"training{number}"] = figures.training_figure(curve, number)
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704 - drawn here, text escaped


def _data_url(content: Path | bytes, kind: str) -> str:
    """A file, or its bytes, as a ``data:`` address."""
    if isinstance(content, Path):
        if not content.is_file():
            raise UserError(f"{content}: no such file; make the pictures of the page first")
        content = content.read_bytes()
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _dashes(number: int) -> str:
    """Dash pattern of an arm for a legend line that is 2.5 pixels wide."""
    return " ".join(f"{2.5 * length:g}" for length in figures.dash(number))


def _number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _signed(value: float, digits: int = 3) -> str:
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _range(interval: Interval, digits: int = 3) -> str:
    return f"{_number(interval.low, digits)}\N{EN DASH}{_number(interval.high, digits)}"


def _signed_range(difference: Difference, digits: int = 3) -> str:
    return f"{_signed(difference.low, digits)} to {_signed(difference.high, digits)}"


def _asset(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
