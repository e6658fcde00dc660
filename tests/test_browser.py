"""The page in a real browser: no errors, no broken images, no sideways scrolling, both colour schemes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emosynth.catalog import Catalog
from emosynth.report import build_report
from emosynth.report.pages import PAGES
from fake_results import fake_params, write_fake_results

pytestmark = pytest.mark.browser

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
NAMES = ["index", *(page.name for page in PAGES)]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    params = fake_params(evidence={"resamples": 100}, learners={"trees": None}, figures={"formats": ["svg"], "dpi": 50})
    paths = write_fake_results(tmp_path_factory.mktemp("browser"), params)
    paths.report.mkdir(parents=True, exist_ok=True)
    (paths.report / "timings.js").write_text(
        'window.EMOSYNTH_TIMINGS = [{"stage": "<img src=x onerror=alert(1)>", "seconds": 3.25, "peak_mb": 410}];', encoding="utf-8"
    )
    return build_report(params, Catalog.load(paths), paths).page


def chrome(profile: Path) -> tuple[Any, Any]:
    """Return selenium's webdriver and options of a headless Chromium with a profile of its own; skip where there is none."""
    for program in (CHROMIUM, DRIVER):
        if not program.exists():
            pytest.skip(f"{program.name} is not installed")
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for option in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver, options


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    webdriver, options = chrome(tmp_path_factory.mktemp("profile"))
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    try:
        yield driver
    finally:
        driver.quit()


def _open(browser: Any, index: Path, width: int, scheme: str) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    browser.get(index.as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(item => item.open = true)")


def _picture(browser: Any, folder: Path, name: str) -> None:
    """Save the whole page as a picture; EMOSYNTH_SCREENSHOTS names a folder to keep it in."""
    import base64

    folder = Path(os.environ.get("EMOSYNTH_SCREENSHOTS", folder))
    folder.mkdir(parents=True, exist_ok=True)
    found = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"})
    (folder / f"{name}.png").write_bytes(base64.b64decode(found["data"]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (375, "light"), (320, "dark")])
def test_page_in_a_browser(browser: Any, index: Path, tmp_path: Path, name: str, width: int, scheme: str) -> None:
    _open(browser, index.with_name(f"{name}.html"), width, scheme)
    broken = browser.execute_script("return [...document.images].filter(i => !i.complete || i.naturalWidth === 0).map(i => i.currentSrc)")
    assert broken == []
    assert browser.execute_script("return document.images.length") >= (0 if name in ("data", "reading") else 1)
    shown = browser.execute_script("return [...document.images].map(i => i.currentSrc)")
    assert all(name.endswith("-dark.svg") == (scheme == "dark") for name in shown)
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= width, f"the page is {wide} px wide"
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    light = sum(int(part) for part in background.removeprefix("rgb(").removesuffix(")").split(",")) > 380
    assert light == (scheme == "light")
    _picture(browser, tmp_path, f"{name}-{width}-{scheme}")
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []


def test_nothing_is_asked_of_the_network(browser: Any, index: Path) -> None:
    browser.get_log("performance")
    _open(browser, index, 1280, "light")
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert asked
    assert [address for address in asked if not address.startswith(("file:", "data:"))] == []


def test_timings_are_shown_as_text(browser: Any, index: Path) -> None:
    _open(browser, index.with_name("data.html"), 1280, "light")
    assert browser.execute_script("return document.querySelector('#timings tbody td').textContent").startswith("<img")
    assert browser.execute_script("return document.querySelectorAll('#timings img').length") == 0
    assert not browser.execute_script("return document.getElementById('timings').hidden")


@pytest.mark.parametrize(
    ("row", "shown"),
    [
        ({"energy_wh": 2.0, "energy": "estimated at <b>10 W"}, "2.8"),  # 2 Wh, a quarter of the tokens, 180 rows kept
        ({"energy_wh": 200.0, "energy": "measured"}, "278"),
        ({"energy_wh": 2.0, "energy": "measured", "resumed": True}, None),
        ({"seconds": 2.0}, None),
    ],
)
def test_energy_is_split_by_arm_where_the_step_wrote_everything(browser: Any, index: Path, row: dict[str, Any], shown: str | None) -> None:
    file = index.with_name("timings.js")
    before = file.read_text(encoding="utf-8")
    try:
        file.write_text(f"window.EMOSYNTH_TIMINGS = [{json.dumps({'stage': '05_generation'} | row)}];", encoding="utf-8")
        _open(browser, index.with_name("responsible.html"), 375, "light")
        assert browser.execute_script("return document.getElementById('energy').hidden") is (shown is None)
        cells = browser.execute_script(
            "return [...document.querySelectorAll('#energy tbody tr')].map(r => [...r.cells].map(c => c.textContent))"
        )
        assert len(cells) > 3 and {line[1] for line in cells} == {shown or "–"}
        if shown:
            assert row["energy"] in browser.execute_script("return document.querySelector('#energy .note').textContent")
            assert any(line[2] not in ("–", "none shown") for line in cells)
            assert browser.execute_script("return document.documentElement.scrollWidth") <= 375
        assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    finally:
        file.write_text(before, encoding="utf-8")


# Luminance contrast as WCAG 2 defines it, of every element that holds text, against the nearest opaque background.
_CONTRAST = """
const rgb = text => { const p = text.match(/[\\d.]+/g).map(Number); return p.length < 4 ? [...p, 1] : p; };
const lum = c => { const v = c.slice(0, 3).map(x => { x /= 255; return x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4; });
  return .2126 * v[0] + .7152 * v[1] + .0722 * v[2]; };
const back = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
const low = [];
for (const e of document.querySelectorAll('body *')) {
  if (!['SCRIPT', 'STYLE'].includes(e.tagName) && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) {
    const a = lum(rgb(getComputedStyle(e).color)), b = lum(back(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) low.push([e.tagName, e.className, ratio]);
  }
}
return low;
"""


@pytest.mark.parametrize("name", ["index", "claims"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(browser: Any, index: Path, name: str, scheme: str) -> None:
    _open(browser, index.with_name(f"{name}.html"), 1280, scheme)
    assert browser.execute_script(_CONTRAST) == []


def test_keyboard_reaches_the_content_first(browser: Any, index: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    _open(browser, index, 1280, "light")
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert browser.execute_script("return document.activeElement.className") == "skip"
