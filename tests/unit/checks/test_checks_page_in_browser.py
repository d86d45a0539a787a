"""The status page in a real browser: wide and narrow, light and dark, with a keyboard, and for a screen reader.

The screenshots stay in build/screenshots, which git ignores.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tailwart.checks import page
from tailwart.checks.model import Verdict
from tests.unit.checks.sample import HOSTILE, environment, looks, outcome

SCREENSHOTS = Path(__file__).parents[3] / "build/screenshots"
BAD = {
    "mailbox.store-errors": Verdict.FAILED,
    "edge.reaches-mailbox": Verdict.UNKNOWN,
    "server.one-instance": Verdict.SKIPPED,
}
Scheme = Literal["light", "dark"]
SIZES: tuple[tuple[int, Scheme], ...] = ((360, "light"), (360, "dark"), (1440, "light"), (1440, "dark"))
# Contrast depends on the colours and the order on the width: both of each are seen in two runs of axe.
EXAMINED = ((360, "dark"), (1440, "light"))

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed (make packages)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(
    browser: Browser, html: str, file: Path, width: int = 1440, scheme: Scheme = "light"
) -> tuple[Page, list[str]]:
    """The page as it is opened from a file, and every address that it asked for."""
    file.write_text(html, encoding="utf-8")
    shown = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    asked: list[str] = []
    shown.on("request", lambda request: asked.append(request.url))
    shown.on("pageerror", lambda error: asked.append(str(error)))
    shown.goto(file.as_uri())
    return shown, asked


def serious(found: Any) -> list[str]:
    """What axe calls serious or critical, with the elements."""
    return [
        f"{item['id']}: {[node['html'][:120] for node in item['nodes'][:3]]}"
        for item in found.response["violations"]
        if item["impact"] in ("serious", "critical")
    ]


def test_it_fits_is_accessible_and_asks_nobody(browser: Browser, tmp_path: Path) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    long = f"{HOSTILE} {'x' * 200}"
    for state, verdicts in (("failed", BAD), ("well", {})):
        html = page.render(outcome(verdicts, long), environment(), looks())
        for width, scheme in SIZES if state == "failed" else SIZES[1:3]:
            shown, asked = opened(browser, html, tmp_path / "page.html", width, scheme)
            shown.screenshot(path=SCREENSHOTS / f"page-{state}-{width}-{scheme}.png", full_page=True)
            shown.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
            seen = shown.evaluate(
                "[document.documentElement.scrollWidth, innerWidth, getComputedStyle(document.body).backgroundColor]"
            )
            assert seen[0] <= seen[1] == width, f"{width} px: {seen[0]} px wide"
            assert (seen[2] == "rgb(13, 17, 23)") == (scheme == "dark")
            pictures = [shown.locator(f"svg.{name}").is_visible() for name in ("wide", "tall")]
            assert pictures == ([False, True] if width == 360 else [True, False])
            if state == "failed" and (width, scheme) in EXAMINED:
                assert serious(Axe().run(shown)) == [], f"{width} px, {scheme}"
            assert asked == [(tmp_path / "page.html").as_uri()]
            shown.close()


def test_a_keyboard_reaches_and_opens_everything(browser: Browser, tmp_path: Path) -> None:
    shown, _ = opened(browser, page.render(outcome(BAD), environment(), looks()), tmp_path / "page.html")
    names = shown.locator("summary").all_inner_texts()
    reached = []
    for _ in names:
        shown.keyboard.press("Tab")
        reached.append(shown.evaluate("document.activeElement.innerText"))
        outline = shown.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", f"{reached[-1]} does not show that it has the focus"
    assert reached == names
    before = shown.evaluate("document.activeElement.parentElement.open")
    shown.keyboard.press("Enter")
    assert shown.evaluate("document.activeElement.parentElement.open") is not before


def test_a_screen_reader_is_told_every_state_and_every_graph(browser: Browser, tmp_path: Path) -> None:
    shown, _ = opened(browser, page.render(outcome(BAD), environment(), looks()), tmp_path / "page.html")
    pictures = [picture.text_content() or "" for picture in shown.get_by_role("img").locator("title:first-child").all()]
    way = next(text for text in pictures if text.startswith("zone: "))
    assert "mailbox: failed" in way and "from edge-1 to the mailbox: could not look" in way
    assert any(text.startswith("Messages that wait, ") for text in pictures)
    headings = shown.get_by_role("heading").all_inner_texts()
    assert headings[1:4] == ["The way of the mail", "To do", "At a glance"]
    assert "34 days left" in shown.get_by_role("listitem").filter(has_text="certificate of").inner_text()
