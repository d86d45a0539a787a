"""The pictures of docs/checks.md: `python -m tests.unit.checks.pictures`, from the samples of the tests."""

from __future__ import annotations

import html
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tailwart.checks import page, terminal
from tailwart.checks.model import Verdict
from tests.unit.checks.sample import environment, looks, outcome

IMAGES = Path(__file__).parents[3] / "docs/images"
BAD = {"mailbox.smarthost-reached": Verdict.FAILED}
SEEN = "192.0.2.25:587 (SMARTHOST_ADDRESS) is not reached"


def main() -> None:
    """Write the page as on a desk and on a phone, and the terminal."""
    found, settings = outcome(BAD, SEEN), environment(smarthost_address="192.0.2.25")
    shown = page.render(found, settings, looks(28))
    pictures = (
        ("status-page", shown, 1080, 1330, "light"),
        ("status-page-phone", shown, 390, 1400, "dark"),
        ("doctor", _terminal(terminal.render(found)), 980, 420, "dark"),
    )
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, content, width, height, scheme in pictures:
            file = Path(directory) / f"{name}.html"
            file.write_text(content, encoding="utf-8")
            # Playwright wants literals; the schemes are a table of ours.
            tab = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
            tab.goto(file.as_uri())
            tab.screenshot(path=IMAGES / f"{name}.png")
        browser.close()


def _terminal(text: str) -> str:
    """What the terminal shows, as a page."""
    shown = html.escape(text).replace("FAILED", '<b style="color: #ff8f87">FAILED</b>')
    colours = "margin: 0; padding: 1rem; background: #0d1117; color: #e6edf3"
    body = f'<body style="{colours}; font: 14px/1.45 monospace; white-space: pre-wrap">'
    return f'<!doctype html><meta charset="utf-8">{body}$ tailwart doctor\n{shown}</body>'


if __name__ == "__main__":
    main()
