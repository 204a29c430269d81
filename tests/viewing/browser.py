"""A Chromium without a screen, as the tests drive it; and why there may be none."""

import json
import os
import shutil
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ring2_orchestrator.viewing.server import Server

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_S = 60.0
_AXE = Path("node_modules", "axe-core", "axe.min.js")


def programs() -> tuple[str, str]:
    """Chromium and what drives it; the test is skipped, or fails where all must be there."""
    found = [
        next((path for name in names if (path := shutil.which(name))), None)
        for names in (("chromium", "chromium-browser", "google-chrome"), ("chromedriver",))
    ]
    if found[0] is None or found[1] is None:
        why = "there is no Chromium with its driver here: apt-get install chromium chromium-driver"
        if os.environ.get("REDOXA_WHOLE") and shutil.which("apt-get") and os.geteuid() == 0:
            pytest.fail(why)
        pytest.skip(why)
    return found[0], found[1]


def axe() -> str:
    """The source of axe-core, which audits pages."""
    folders = (os.environ.get("REDOXA_NODE_MODULES"), ROOT / "build" / "node")
    for folder in filter(None, folders):
        if (path := Path(folder) / _AXE).is_file():
            return path.read_text("utf-8")
    why = "axe-core is not installed: npm install --prefix build/node --no-save axe-core@4.14.1"
    if os.environ.get("REDOXA_WHOLE") and shutil.which("npm"):
        pytest.fail(why)
    pytest.skip(why)


class Browser:
    """One window. What its page complains of is kept, and whom it asked."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(
        self, server: Server, place: str = "", *, theme: str = "light", width: int = 1280
    ) -> None:
        """Open the page as `redoxa view` does, at a place of it."""
        self.driver.get("about:blank")
        self.said()
        self.asked()
        phone = width < 700
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {
                "features": [
                    {"name": "prefers-color-scheme", "value": theme},
                    {"name": "prefers-reduced-motion", "value": "reduce"},
                ]
            },
        )
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {
                "width": width,
                "height": 844 if phone else 860,
                "deviceScaleFactor": 1,
                "mobile": phone,
            },
        )
        self.visit(f"{server.url}{place}")

    def visit(self, url: str) -> None:
        """Go to an address of the page, and wait until it is there."""
        self.driver.get(url)
        self.until("document.querySelector('h1')")

    def js(self, script: str, *words: object) -> Any:
        """The value of an expression in the page."""
        return self.driver.execute_script(f"return {script};", *words)

    def until(self, script: str, *words: object) -> Any:
        """The same, once it is something."""
        ends = time.monotonic() + _PATIENCE_S
        while not (value := self.js(script, *words)):
            assert time.monotonic() < ends, f"{script} stayed {value!r}: {self.text()[:2000]}"
            time.sleep(0.02)
        return value

    def text(self) -> str:
        """What a person reads."""
        return self.js("document.body.innerText")

    def keys(self, *keys: str) -> None:
        """Type into whatever has the focus."""
        from selenium.webdriver import ActionChains  # noqa: PLC0415 - not everywhere installed

        ActionChains(self.driver).send_keys(*keys).perform()

    def choose(self, *files: Path) -> None:
        """Hand files to the page."""
        self.driver.find_element("css selector", "input[type=file]").send_keys(
            "\n".join(str(file.resolve()) for file in files)
        )

    def said(self) -> list[str]:
        """What the page's console was told since the last time."""
        return [line["message"] for line in self.driver.get_log("browser")]

    def asked(self) -> list[str]:
        """Every address that was asked for since the last time."""
        events = [
            json.loads(line["message"])["message"] for line in self.driver.get_log("performance")
        ]
        return [
            event["params"]["request"]["url"]
            for event in events
            if event["method"] == "Network.requestWillBeSent"
        ]


@contextmanager
def browsing(downloads: Path) -> Generator[Browser]:
    """A window, closed at the end."""
    chromium, driver = programs()
    webdriver = pytest.importorskip("selenium.webdriver")
    service = pytest.importorskip("selenium.webdriver.chrome.service")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for word in (
        "--headless=new",
        "--no-sandbox",  # the superuser of a container has no other way
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-gpu",
        "--hide-scrollbars",
        "--lang=en-US",
        f"--user-data-dir={downloads / 'profile'}",
    ):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=service.Service(driver))
    try:
        yield Browser(opened)
    finally:
        opened.quit()
