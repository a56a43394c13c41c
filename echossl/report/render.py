"""One self-contained HTML file: text, tables, figures, films, style and script. It needs no network."""

import base64
import hashlib
import re
from html import unescape
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from echossl import __version__
from echossl.errors import UserError
from echossl.evaluation.assessment import Assessment
from echossl.files import write_text
from echossl.report import curves, figures, groups
from echossl.report.page import ReportPage
from echossl.report.pictured import pictured
from echossl.report.words import FILTERS

FOLDER = Path(__file__).parent
FILM_KILOBYTES = 300
SOURCE = re.compile('<meta name="echossl-source" content="([^"]*)">')
# the source stands within the first characters of a page
HEAD = 4000
Drawn = dict[str, Markup]


def write_report(page: ReportPage, path: Path, *, film_kilobytes: int = FILM_KILOBYTES) -> None:
    """Write the page as one HTML file, whole or not at all.

    Args:
        page: what stands on it; films and strips that are paths are read and embedded.
        path: the file, ``report.html``.
        film_kilobytes: largest size of a film inside the page, in 1,000 bytes.

    Raises:
        UserError: if there is no result, or a film or strip is not there.
    """
    if not page.results and not page.judged and not page.summaries:
        raise UserError(f"{path}: no result to report; finish at least one arm first")
    write_text(path, render(page, film_kilobytes=film_kilobytes))


def source_of(path: Path) -> str:
    """The table that a page was written of; empty of another page, and where there is none."""
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        found = SOURCE.search(file.read(HEAD))
    return unescape(found[1]) if found else ""


def render(page: ReportPage, *, film_kilobytes: int = FILM_KILOBYTES) -> str:
    """The page as HTML text; see :func:`write_report`."""
    script = _asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    html: str = (
        _environment()
        .get_template("report.html.j2")
        .render(
            page=page,
            drawn=_figures(page),
            pictured=list(pictured(page.saliency, film_kilobytes=film_kilobytes)),
            style=_trusted(_asset("report.css")),
            script=_trusted(script),
            script_digest=digest,
            version=__version__,
        )
    )
    return html


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    return environment


def _figures(page: ReportPage) -> dict[str, Markup | Drawn]:
    """Every figure that the page has data for; matplotlib has escaped the text within."""
    drawn: dict[str, Markup | Drawn] = {}
    if page.results:
        drawn["results"] = _trusted(figures.results_figure(page))
    if len({line.num_labelled_patients for line in page.results}) > 1:
        drawn["efficiency"] = _trusted(figures.efficiency_figure(page))
    if page.differences:
        drawn["differences"] = _trusted(figures.differences_figure(page))
    if page.roc:
        drawn["roc"] = _trusted(figures.roc_figure(page))
    for number, curve in enumerate(page.training):
        drawn[f"training{number}"] = _trusted(figures.training_figure(curve, number))
    for number, judged in enumerate(page.judged):
        drawn[f"judged{number}"] = _judged_figures(judged.assessment, f"judged{number}")
    for number, summary in enumerate(page.summaries):
        if summary.measured:
            drawn[f"summary{number}"] = _trusted(groups.agreement_figure(summary, f"summary{number}"))
    return drawn


def _judged_figures(one: Assessment, name: str) -> Drawn:
    drawn = {
        "roc": curves.roc_band_figure(one, f"{name}roc"),
        "pr": curves.precision_recall_figure(one, f"{name}pr"),
    }
    if one.calibration is not None:
        drawn["calibration"] = curves.calibration_figure(one.calibration, f"{name}calibration")
    if one.decision is not None:
        drawn["decision"] = curves.decision_figure(one.decision, f"{name}decision")
    if one.subgroups:
        drawn["subgroups"] = groups.subgroups_figure(one, f"{name}subgroups")
    if one.grades is not None:
        drawn["grades"] = groups.violins_figure(one.grades, one.points, f"{name}grades")
    for number, found in enumerate(one.correlations):
        key = f"correlation{number}"
        drawn[key] = groups.correlation_figure(found, name + key)
    return {key: _trusted(svg) for key, svg in drawn.items()}


def _trusted(text: str) -> Markup:
    """The package's own style, script or drawing, whose foreign names are escaped already."""
    return Markup(text)  # noqa: S704 - see above


def _asset(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
