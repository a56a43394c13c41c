"""The figures: what is drawn where, read back from the SVG."""

import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure
from report_example import ARMS, DEFAULT, full_page, interval

from echossl.report import RocLine, TrainingCurve, figures, marks
from echossl.report.svg import INK, NUM_ARM_COLOURS, PAPER, arm_colour, figure_style, to_svg


def horizontal_bars(svg):
    """Left and right end of the interval bars, top to bottom, in points."""
    found = re.findall(
        r'd="M ([\d.]+) ([\d.]+) \nL ([\d.]+) ([\d.]+) \n" clip-path="[^"]+" '
        r'style="fill: none; stroke: var\(--arm-\d\); stroke-width: 2.2',
        svg,
    )
    assert all(first == last for _, first, _, last in found)
    return [(float(left), float(right)) for left, _, right, _ in found]


def tick_places(svg):
    """Value of each tick label below the figure and where it stands, in points."""
    found = re.findall(r'text-anchor: middle; fill: var\(--ink\)" x="([\d.]+)"[^>]*>([−\d.]+)<', svg)  # noqa: RUF001
    return {float(text.replace("\N{MINUS SIGN}", "-")): float(place) for place, text in found}


def test_bars_are_the_intervals():
    page = full_page(fractions=((0.01, 8),))
    svg = figures.results_figure(page)
    ticks = sorted(tick_places(svg).items())
    values, places = zip(*ticks, strict=True)
    bars = np.interp(horizontal_bars(svg), places, values)
    expected = [(line.auroc.low, line.auroc.high) for line in page.results]
    np.testing.assert_allclose(bars, expected, atol=0.002)


def test_differences_show_zero_and_signs():
    svg = figures.differences_figure(full_page())
    assert 0.0 in tick_places(svg)
    assert "+0.174" in svg
    assert len(horizontal_bars(svg)) == 4
    assert f"minus {ARMS[2]}" in svg


def test_the_default_arm_is_bold():
    svg = figures.results_figure(full_page())
    bold = re.findall(r"<text[^>]*font-weight: 700[^>]*>([^<]*)<", svg)
    assert DEFAULT in bold
    assert ARMS[2] not in bold


@pytest.mark.parametrize(("low", "high"), [(float("nan"), float("nan")), (0.9, 0.9)])
def test_degenerate_intervals_are_drawn(low, high):
    page = full_page()
    line = replace(page.results[0], auroc=replace(interval(0.9), low=low, high=high))
    assert "0.900" in figures.results_figure(replace(page, results=[line]))


def test_long_names_are_cut_in_the_figure_only():
    page = full_page()
    name = "a name that goes on and on " * 4
    svg = figures.results_figure(replace(page, results=[replace(page.results[0], arm=name)]))
    words, alternative = re.sub(r"<[^>]*>", "", svg), re.search(r'aria-label="([^"]*)"', svg).group(1)
    assert "…" in words
    assert name not in words
    assert name in alternative


def test_efficiency_axis_names_the_label_counts():
    svg = figures.efficiency_figure(full_page(fractions=((0.01, 8), (0.05, 38), (0.25, 190))))
    labels = re.findall(r">(\d+)</text>", svg)
    assert [label for label in labels if label in {"8", "38", "190"}] == ["8", "38", "190"]


def test_roc_draws_every_curve_with_its_own_dash():
    page = full_page()
    svg = figures.roc_figure(page)
    dashes = [marks.dash(number) for number in range(len(marks.DASHES))]
    # the eighth arm has the first one's colour, but neither its dash nor its marker
    assert len(set(dashes)) == len(marks.DASHES) == len(set(marks.MARKERS)) > NUM_ARM_COLOURS
    for number in range(len(ARMS)):
        assert f"stroke: var(--arm-{number})" in svg
    # the default arm comes last, on top of the others
    assert svg.rindex("stroke: var(--arm-0)") > svg.rindex("stroke: var(--arm-1)")


def test_an_arm_has_one_colour_everywhere():
    page = full_page()
    only = replace(page, roc=[RocLine(ARMS[2], page.roc[0].curve)])
    assert "stroke: var(--arm-2)" in figures.roc_figure(only)
    assert "stroke: var(--arm-0)" not in figures.roc_figure(only)


def test_long_training_curves_are_thinned():
    steps = np.arange(100_000, dtype=np.float64)
    svg = figures.training_figure(TrainingCurve("Long", "loss", steps, 1 / (1 + steps)), 3)
    assert len(svg) < 40_000
    assert "loss from 1 to 1e-05 in 99999 steps" in svg


def test_identifiers_carry_the_name_and_colours_are_variables():
    with figure_style():
        figure = Figure(figsize=(2, 1))
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=arm_colour(1), marker="o", markeredgecolor=PAPER)
        axes.text(0, 0, "a <b> & $x$", color=INK)
    svg = to_svg(figure, name="mine", alternative='a "quoted" <name>')
    assert all(name.startswith("mine-") for name in re.findall(r'\bid="([^"]+)"', svg))
    references = re.findall(r'href="#([^"]+)"', svg) + re.findall(r"url\(#([^)]+)\)", svg)
    assert references
    assert all(name.startswith("mine-") for name in references)
    assert "a &lt;b&gt; &amp; $x$" in svg
    assert 'aria-label="a &quot;quoted&quot; &lt;name&gt;"' in svg
    assert 'viewBox="0 0 144 72"' in svg
    assert {"var(--arm-1)", "var(--paper)", "var(--ink)", "var(--muted)"} <= set(
        re.findall(r"var\([^)]+\)", svg)
    )
    assert "metadata" not in svg
    assert svg.count("<svg") == svg.count("</svg>") == 1


def test_colours_come_round_again():
    assert arm_colour(NUM_ARM_COLOURS) == arm_colour(0)
    assert len({arm_colour(number) for number in range(NUM_ARM_COLOURS)}) == NUM_ARM_COLOURS
