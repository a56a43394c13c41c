"""The page in a real headless Chromium: silent, without requests, players play, tables sort, filters work."""

import re

import pytest
from browser import CHROMIUM, Browser, NoAnswerError
from report_example import HOSTILE, full_page

from echossl.report.render import render

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
CARDS = '[...document.querySelectorAll("article.study")]'
SHOWN = f"{CARDS}.filter((card) => card.offsetHeight > 0).map((card) => card.dataset.outcome)"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(full_page()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    try:
        browser = Browser(tmp_path_factory.mktemp("profile"))
    except NoAnswerError as error:  # such as a stub that asks for a package to be installed
        pytest.skip(f"{CHROMIUM} does not answer: {error}")
    yield browser
    browser.close()


@pytest.fixture
def opened(browser, path):
    browser.open(path)
    return browser


def test_asks_no_network_and_says_nothing_on_the_console(opened):
    opened.run("scrollTo(0, document.body.scrollHeight)")
    opened.run("new Promise((done) => requestAnimationFrame(done))")
    assert opened.requests() == []
    assert opened.complaints() == []
    assert (
        opened.run(
            "performance.getEntriesByType('resource').filter((one) => !one.name.startsWith('data:')).length"
        )
        == 0
    )


def test_the_browser_would_tell_of_a_request_and_of_an_error(browser, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text(
        '<img src="http://host.invalid/a.png"><script>throw new Error("no")</script>', encoding="utf-8"
    )
    browser.open(path)
    assert browser.requests() == ["http://host.invalid/a.png"]
    assert any("Error: no" in str(complaint) for complaint in browser.complaints())


def test_players_play(opened):
    if not opened.run("""document.createElement("video").canPlayType('video/mp4; codecs="avc1.42E01E"')"""):
        pytest.skip("this Chromium has no H.264")
    play = """Promise.all([...document.querySelectorAll("video")].map(async (film) => {
        await film.play();
        const begin = film.currentTime;
        const moved = (done) => film.addEventListener("timeupdate", () => film.currentTime > begin && done());
        await new Promise(moved);
        film.pause();
        return [film.error, film.videoWidth, film.duration, film.currentTime > begin];
    }))"""
    for error, width, seconds, moved in opened.run(play):
        assert error is None
        assert width == 48
        assert seconds == pytest.approx(1.0, abs=0.06)
        assert moved


def test_posters_and_stills_are_pictures(opened):
    script = """Promise.all([...document.querySelectorAll("img, video")].map(async (one) => {
        const picture = new Image();
        picture.src = one.poster ?? one.src;
        await picture.decode();
        return picture.naturalWidth;
    }))"""
    assert opened.run(script) == [48, 64, 64, 48, 64]


def test_every_sortable_table_sorts_both_ways_by_every_column(opened):
    tables = opened.run('document.querySelectorAll("table.sortable").length')
    assert tables == opened.run(
        'document.querySelectorAll("table").length - document.querySelectorAll("table.confusion").length'
    )
    cells = """(table, column) => [...document.querySelectorAll("table.sortable")[table].tBodies[0].rows]
        .map((row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim())"""
    for table in range(tables):
        columns = opened.run(
            f'document.querySelectorAll("table.sortable")[{table}].tHead.rows[0].cells.length'
        )
        for column in range(columns):
            before = opened.run(f"({cells})({table}, {column})")
            for direction in ("ascending", "descending"):
                heading = (
                    f'document.querySelectorAll("table.sortable")[{table}].tHead.rows[0].cells[{column}]'
                )
                opened.run(f'{heading}.querySelector("button").click()')
                assert opened.run(f'{heading}.getAttribute("aria-sort")') == direction
                found = opened.run(f"({cells})({table}, {column})")
                assert sorted(found) == sorted(before)
                if all(re.fullmatch(r"-?[0-9.e-]+", text) for text in found):
                    values = [float(text) for text in found]
                    assert values == sorted(values, reverse=direction == "descending")


def test_filters_show_what_is_chosen_and_say_how_many(opened):
    assert opened.run(SHOWN) == ["true positive", "true negative", "false positive"]
    click = "document.querySelector(\"input[name={}][value='{}']\").click()"
    opened.run(click.format("outcome", "true positive"))
    assert opened.run(SHOWN) == ["true negative", "false positive"]
    assert opened.run('document.getElementById("shown").textContent') == "2 of 3 videos shown"
    opened.run(click.format("grade", "none"))
    assert opened.run(SHOWN) == ["false positive"]
    assert opened.run('document.querySelectorAll("input[name=grade]")[2].value') == HOSTILE
    opened.run('document.querySelectorAll("input[name=grade]")[2].click()')
    assert opened.run(SHOWN) == []
    opened.run('document.querySelectorAll("form.filters input:not(:checked)").forEach((box) => box.click())')
    assert len(opened.run(SHOWN)) == 3


def test_every_figure_has_alternative_text_in_the_accessibility_tree(opened):
    nodes = opened.call("Accessibility.getFullAXTree")["nodes"]
    pictures = [
        node
        for node in nodes
        if node.get("role", {}).get("value") in {"img", "image", "Video"} and not node["ignored"]
    ]
    assert len(pictures) >= opened.run('document.querySelectorAll("svg.figure, video").length')
    for node in pictures:
        assert len(node["name"]["value"]) > 20
    captions = opened.run('[...document.querySelectorAll("table")].map((table) => table.caption.textContent)')
    assert min(len(caption.strip()) for caption in captions) > 20


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_is_wider_than_the_window(opened, width):
    opened.resize(width)
    assert opened.run("document.documentElement.scrollWidth") <= width


def test_research_use_only_is_on_the_screen_and_on_every_printed_page(opened):
    assert opened.run('document.querySelector(".use-only").getBoundingClientRect().top') >= 0
    assert opened.run('document.querySelector(".use-only").offsetHeight') > 20
    rules = opened.run('[...document.styleSheets[0].cssRules].map((rule) => rule.cssText).join(" ")')
    assert re.search(r"@page \{.*Research use only", rules)


def test_folded_stills_are_printed(opened):
    opened.run('dispatchEvent(new Event("beforeprint"))')
    assert opened.run('[...document.querySelectorAll("details")].every((one) => one.open)')
