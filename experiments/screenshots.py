"""Pictures of a report page in a headless Chromium: desktop, phone, dark, print.

python experiments/screenshots.py runs/demo/report.html --out pictures
python experiments/screenshots.py runs/demo/report.html --out pictures --parts results judged0 saliency
"""

import argparse
import base64
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "report"))

from browser import CHROMIUM, Browser

DESKTOP_PIXELS, PHONE_PIXELS = 1280, 390


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("page", type=Path, help="report.html")
    parser.add_argument("--out", type=Path, required=True, help="folder for the pictures")
    parser.add_argument("--parts", nargs="*", default=[], help="identifiers of elements to picture alone")
    words = parser.parse_args()
    if CHROMIUM is None:
        sys.exit("chromium is not installed; apt-get install chromium")
    words.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(Path(profile))
        try:
            picture(browser, words.page.resolve(), words.out, words.parts)
        finally:
            browser.close()


def picture(browser: Browser, page: Path, out: Path, parts: list[str]) -> None:
    for name, width in (("desktop", DESKTOP_PIXELS), ("phone", PHONE_PIXELS)):
        browser.open(page, width=width)
        time.sleep(0.3)
        if lacking := [part for part in parts if browser.run(f"!document.getElementById({part!r})")]:
            sys.exit(f"{page}: no element {', '.join(lacking)}; found {', '.join(identifiers(browser))}")
        save(out / f"{name}.png", whole(browser))
        for part in parts:
            save(out / f"{name}-{part}.png", one(browser, part))
    browser.open(page, width=DESKTOP_PIXELS)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    save(out / "dark.png", whole(browser))
    browser.call("Emulation.setEmulatedMedia", features=[])
    save(
        out / "print.pdf",
        browser.call("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"],
    )


def identifiers(browser: Browser) -> list[str]:
    return browser.run("[...document.querySelectorAll('section[id], h3[id]')].map(one => one.id)")


def whole(browser: Browser) -> str:
    size = browser.call("Page.getLayoutMetrics")["cssContentSize"]
    return capture(browser, {"x": 0, "y": 0, "width": size["width"], "height": size["height"]})


def one(browser: Browser, part: str) -> str:
    box = browser.run(
        f"(() => {{ const box = document.getElementById({part!r}).getBoundingClientRect(); "
        "return {x: box.x + scrollX, y: box.y + scrollY, width: box.width, height: box.height}; })()"
    )
    return capture(browser, box)


def capture(browser: Browser, box: dict) -> str:
    return browser.call("Page.captureScreenshot", clip={**box, "scale": 1}, captureBeyondViewport=True)[
        "data"
    ]


def save(path: Path, data: str) -> None:
    path.write_bytes(base64.b64decode(data))
    print(path)


if __name__ == "__main__":
    main()
