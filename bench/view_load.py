"""How long a browser takes to show the time line of `redoxa view`, by the length of the ledger.

    python bench/view_load.py [RUNS ...]      (default: 100 1000 10000)

Chromium and chromedriver are needed. Each figure is the median of several loads, of a server that
was started for it, from the start of the navigation: `first` until the first rows are drawn, `all`
until every entry is read and plotted; `server` is the processor time of the server for one load.
"""

import json
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.viewing.browser import Browser, browsing  # noqa: E402 - of this checkout
from tests.viewing.serving import fill, serving  # noqa: E402

LOADS = 5
# Marks are set by the page's own clock, when the first frame with rows was drawn, and with all.
WATCH = """
const watch = () => {
  const rows = document.querySelector('.rows li'), said = document.querySelector('.found');
  if (rows && !window.first) requestAnimationFrame(() => { window.first ||= performance.now(); });
  const many = said && parseInt(said.textContent.replaceAll(',', ''), 10);
  if (many === %d && document.querySelector('.chart canvas')) {
    requestAnimationFrame(() => { window.whole ||= performance.now(); });
  } else requestAnimationFrame(watch);
};
requestAnimationFrame(watch);
"""


def loaded(browser: Browser, home: Path, runs: int) -> tuple[float, float, float]:
    """Milliseconds until the first rows and until all, and those that the server worked."""
    with serving(home) as server:
        driver = browser.driver
        added = driver.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument", {"source": WATCH % runs}
        )
        before = time.process_time()
        browser.visit(server.url)
        while not browser.js("window.whole"):
            time.sleep(0.05)
        worked = (time.process_time() - before) * 1000
        driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
        return browser.js("window.first"), browser.js("window.whole"), worked


def main(words: list[str]) -> None:
    """Measure each length that was asked for."""
    print(f"{platform.machine()}, load {Path('/proc/loadavg').read_text().split()[0]}")
    print("| runs | first ms | all ms | server ms |")
    print("| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder, browsing(Path(folder)) as browser:
        for runs in [int(word) for word in words] or [100, 1000, 10_000]:
            home = Path(folder, f"home-{runs}")
            fill(home, runs)
            found = [loaded(browser, home, runs) for _ in range(LOADS)]
            medians = [statistics.median(each) for each in zip(*found, strict=True)]
            print(f"| {runs:,} | " + " | ".join(f"{each:.0f}" for each in medians) + " |")
        version = browser.driver.capabilities["browserVersion"]
    print(json.dumps({"chromium": version, "loads": LOADS}))


if __name__ == "__main__":
    main(sys.argv[1:])
