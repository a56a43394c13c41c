"""The page as HTML: whole, escaped, without network, readable without pictures, with the right numbers."""

import base64
import io
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from PIL import Image
from report_example import ARMS, DEFAULT, HOSTILE, difference, film, full_page, interval, png

from echossl.errors import UserError
from echossl.report import BudgetLine, SaliencyEntry, write_report
from echossl.report.render import render

VOID = {"meta", "img", "source", "br", "link", "input"}
# shapes that close themselves in SVG
SHAPES = {"path", "use", "line", "rect"}


def squeezed(text):
    return " ".join(text.split())


class Reader(HTMLParser):
    """Collects elements and text, and checks that every element is closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID | SHAPES:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in SHAPES:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.words.append(data)

    @property
    def text(self):
        plain = " ".join(self.words).replace("\N{EN DASH}", "-").replace("\N{MINUS SIGN}", "-")
        return squeezed(plain)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def page():
    return full_page()


@pytest.fixture(scope="module")
def light(page):
    """The page without the figures that take longest to draw, for tests of its text."""
    return replace(page, differences=[], roc=[], judged=[], training=[])


@pytest.fixture(scope="module")
def written(page, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "new" / "report.html"
    write_report(page, path)
    return path


@pytest.fixture(scope="module")
def html(written):
    return written.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(html):
    return Reader(html)


def test_is_one_file_with_every_section(written, html, read):
    assert [child.name for child in written.parent.iterdir()] == ["report.html"]
    assert html.startswith("<!DOCTYPE html>")
    sections = [attributes["id"] for attributes in read.all("section")]
    assert sections == [
        *("results", "differences", "roc", "judged0", "labels", "training"),
        *("saliency", "missing", "limits", "run"),
    ]
    links = [attributes["href"] for attributes in read.all("a")]
    assert [f"#{name}" for name in sections] == [link for link in links[1:] if "-" not in link]
    named = {attributes["id"] for _, attributes in read.elements if "id" in attributes}
    assert {link[1:] for link in links} <= named


def test_needs_no_network(html, read):
    addresses = [
        (name, value)
        for _, attributes in read.elements
        for name, value in attributes.items()
        if name in {"src", "href", "xlink:href", "poster", "srcset", "data", "action"}
    ]
    assert addresses
    assert all(value.startswith(("#", "data:")) for _, value in addresses)
    assert "http://" not in html
    assert "https://" not in html
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL).group(1)
    assert "@import" not in style
    assert "url(" not in style
    policy = next(a["content"] for a in read.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_every_picture_has_words(read):
    pictures = [(tag, attributes) for tag, attributes in read.elements if tag in {"img", "svg", "video"}]
    assert Counter(tag for tag, _ in pictures)["img"] == 3
    assert Counter(tag for tag, _ in pictures)["video"] == 2
    for tag, attributes in pictures:
        if attributes.get("aria-hidden") == "true":
            assert tag == "svg"  # the mark before a name in a legend
            continue
        assert len(attributes["alt" if tag == "img" else "aria-label"]) > 20
        if tag == "svg":
            assert attributes["role"] == "img"


def test_figures_say_their_numbers_in_words(read):
    labels = " ".join(attributes.get("aria-label", "") for attributes in read.all("svg"))
    assert f"8 labelled patients (1 %), {DEFAULT}: 0.818 (0.768-0.868)" in labels
    assert "0.174 (0.124-0.224)" in labels
    assert "loss from 4 to 1.11 in 998 steps" in labels


def test_hostile_names_are_text(html, read):
    assert "<script>alert" not in html
    assert len(read.all("script")) == 1
    assert squeezed(HOSTILE) in read.text
    titles = [attributes["aria-label"] for attributes in read.all("video")]
    assert HOSTILE in titles[0]


def test_hostile_names_are_text_in_figures_too(html):
    figures = re.findall(r'<svg class="figure".*?</svg>', html, re.DOTALL)
    assert len(figures) == 13
    texts = [Reader(figure).text for figure in figures]
    # a dollar is a dollar, not mathematics; a long name is cut
    assert sum('<script>alert("1")</script> & "quotes" $x_1$' in text for text in texts) == 2


def test_identifiers_are_unique_and_resolved(html, read):
    names = Counter(attributes["id"] for _, attributes in read.elements if "id" in attributes)
    assert [name for name, count in names.items() if count > 1] == []
    used = {a["href"][1:] for _, a in read.elements if a.get("href", "").startswith("#")}
    used |= set(re.findall(r"url\(#([^)]+)\)", html))
    assert used <= set(names)


def test_figures_take_the_colours_of_the_page(html):
    figures = re.findall(r'<svg class="figure".*?</svg>', html, re.DOTALL)
    for figure in figures:
        # every colour is a variable of the style sheet, in light and in dark mode
        assert re.findall(r"(?:fill|stroke): #[0-9a-f]{6}", figure) == []
        assert "font-family" not in figure
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL).group(1)
    for variable in set(re.findall(r"var\((--[a-z0-9-]+)\)", html)) - {"--colour", "--share"}:
        assert f"{variable}:" in style


def test_numbers_are_on_the_page(read):
    text = read.text
    for words in (
        "0.818 0.768-0.868",  # AUROC
        "0.600 0.550-0.650",  # AUPRC
        "8 1 %",  # labelled patients
        "75 10 %",
        "+0.174 +0.124 to +0.224 p = 0.012",
        "-0.020 -0.070 to +0.030 p < 0.001",
        "123 test patients, 31 of them positive",
        "AUPRC of 0.252, the prevalence",
        "1 % 2 8 3 4 23",  # the last label draw
        "41 % of the saliency lies inside the reference region, which covers 9 % of the sector",
        "score +2.31",
        "score -0.50",
        "2.41 2.11-2.71",
        "One pre-training seed, 3 paired label draws.",
        "Synthetic pictures have no operator.",
        "600 synthetic patients",
        "2.12.0",
    ):
        assert words in text, words


def test_the_headline_is_the_default_arm(page, read):
    assert page.headline.arm == DEFAULT
    assert list(page.headline_differences) == list(ARMS[1:])
    assert "AUROC with 8 labelled patients 0.818 95 % interval 0.768-0.868" in read.text


def test_trap_28_p_is_never_zero(page, light):
    line = replace(page.differences[0], auroc=difference(0.5, p_value=1e-9))
    text = Reader(render(replace(light, differences=[line]))).text
    assert "p < 0.001" in text
    assert "p = 0.000" not in text
    assert "not corrected for the number of comparisons" in text


def test_trap_29_unusable_resamples_are_told(page, light, read):
    assert "resamples lacked a class" not in read.text
    assert "Redraws that lacked a class 0 of 100" in read.text
    few = replace(page.results[0], auroc=interval(0.8, unusable=17))
    text = Reader(render(replace(light, results=[few, *page.results[1:]]))).text
    assert "Up to 17 of 2000 resamples lacked a class" in text


def test_pictures_are_embedded(light, tmp_path):
    path, strip = tmp_path / "film.mp4", tmp_path / "strip.png"
    path.write_bytes(film())
    strip.write_bytes(png(32))
    read = Reader(
        render(replace(light, saliency=[SaliencyEntry("Study", "One beat.", path, strip, True, 1.0)]))
    )
    (source,), (image,), (video,) = read.all("source"), read.all("img"), read.all("video")
    assert embedded(source["src"], "video/mp4") == film()
    with Image.open(io.BytesIO(embedded(image["src"], "image/jpeg"))) as picture:
        assert picture.size == (32, 16)
    with Image.open(io.BytesIO(embedded(video["poster"], "image/jpeg"))) as picture:
        assert picture.size == (48, 48)
    assert {"controls", "loop", "muted", "playsinline"} <= set(video)


def embedded(address, kind):
    start, _, data = address.partition(",")
    assert start == f"data:{kind};base64"
    return base64.b64decode(data)


def test_a_missing_picture_or_result_is_refused_in_words(light, tmp_path):
    entry = replace(light.saliency[0], strip=tmp_path / "absent.png")
    path = tmp_path / "report.html"
    with pytest.raises(UserError, match=r"absent.png: no such file"):
        write_report(replace(light, saliency=[entry]), path)
    with pytest.raises(UserError, match="no result to report"):
        write_report(replace(light, results=[]), path)
    assert not path.exists()


def test_a_bare_page_leaves_sections_out(page):
    bare = replace(
        full_page(fractions=((0.01, 8),)),
        notes=[],
        differences=[],
        roc=[],
        judged=[],
        training=[],
        budget=[],
        saliency=[],
        saliency_checks=[],
        belief=None,
        missing=[],
        limits=[],
        environment=[],
    )
    read = Reader(render(bare))
    assert [attributes["id"] for attributes in read.all("section")] == ["results", "run"]
    assert len(read.all("svg")) == 1  # one fraction makes no curve over fractions
    assert "Read this first" not in read.text
    one_draw = replace(bare, budget=[BudgetLine(0.01, "all", 8, 3, 24, 4)])
    assert "1 % all 8 3 4 24" in Reader(render(one_draw)).text


def test_a_budget_without_positive_patients_says_nothing_of_them(light):
    plain = BudgetLine(0.01, "all", 8, None, 24, 4)
    text = Reader(render(replace(light, budget=[plain]))).text
    assert "1 % all 8 4 24" in text
    assert "Share Draw Patients Validation Videos" in text
    text = Reader(render(replace(light, budget=[plain, replace(plain, draw="1", num_positive=3)]))).text
    assert "1 % all 8 not counted 4 24" in text
    assert "1 % 1 8 3 4 24" in text


def test_one_patient_has_no_interval(light):
    maps = [replace(line, num_patients=1) for line in light.saliency_checks]
    text = Reader(render(replace(light, saliency_checks=maps))).text
    assert "2.41 one patient, no interval" in text
    assert "2.11-2.71" not in text
    assert "+1.31" in text
    assert "+0.91 to +1.71" not in text
    two = [replace(line, num_patients=2) for line in maps]
    assert "2.41 2.11-2.71" in Reader(render(replace(light, saliency_checks=two))).text


def test_the_same_page_gives_the_same_bytes(page, html):
    assert render(page) == html


def test_many_arms_reuse_colours(light):
    lines = [replace(light.results[0], arm=f"arm {number}") for number in range(12)]
    read = Reader(render(replace(light, results=lines, default_arm="arm 0")))
    assert "arm 11" in read.text
