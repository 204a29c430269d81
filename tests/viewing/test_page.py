"""The page in a browser: read, filtered, walked through by keyboard, inert whatever it is told."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from ring2_orchestrator.commands import main
from ring2_orchestrator.home import Home
from ring2_orchestrator.viewing.server import Server
from tests.viewing.browser import Browser, axe
from tests.viewing.serving import HOSTILE, fill, serving, viewing

pytestmark = pytest.mark.slow

ROWS = "document.querySelectorAll('.rows li').length"
PLACES = ["", "#/entry/0", "#/entry/1", "#/verify", "#/store", "#/forecasts"]
WHOLE = "!document.querySelector('[aria-busy=true]')"
AUDIT = (
    "const done = arguments[0]; axe.run(document).then("
    "({ violations }) => done(violations.map(({ id, impact, nodes }) => "
    "[impact, id, nodes.map(({ html, failureSummary }) => html + failureSummary).join()])),"
    "(error) => done([['critical', String(error), '']]));"
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten thousand runs behind two real ones and something hostile."""
    place = tmp_path_factory.mktemp("page")
    (place / "in.txt").write_text("1")
    home = place / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        words = ["run", "-q", "--", "sh", "-c", "cat in.txt > out.txt; sh -c 'exit 3'; exit 0"]
        assert main(["--home", str(home), *words]) == 0
        assert main(["--home", str(home), *words]) == 0
    with Home(home) as opened:
        opened.ledger.append([{HOSTILE: HOSTILE}], kind="tier", subject=HOSTILE)
    fill(home, 3, [HOSTILE.encode(), b"\xff\x1b[31m", b"</code><script>alert(1)</script>"])
    fill(home, 10_000)
    return home


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    with serving(home) as opened:
        yield opened


def read(browser: Browser) -> None:
    browser.until("document.body.innerText.includes('10,006 shown')")


def test_ten_thousand_runs_are_there_and_only_what_is_seen_is_drawn(
    browser: Browser, server: Server
) -> None:
    browser.open(server)
    read(browser)
    assert browser.js(ROWS) < 80
    assert browser.js("document.querySelector('.rows li').getAttribute('aria-setsize')") == "10006"
    browser.until("document.querySelector('.chart canvas')")
    browser.js("document.querySelector('.rows').scrollTop = 1e7")
    browser.until("document.querySelector('.rows li [href=\"#/entry/0\"]')")
    assert browser.js(ROWS) < 80
    assert browser.said() == []
    base = server.url.partition("?")[0]
    asked = browser.asked()
    assert len(asked) > 8
    assert [url for url in asked if not url.startswith((base, "data:"))] == []


def test_the_token_leaves_the_address_and_a_reload_works(browser: Browser, server: Server) -> None:
    browser.open(server, "#/store")
    assert "token" not in browser.driver.current_url
    browser.driver.refresh()
    browser.until("document.body.innerText.includes('Illuminated')")
    assert browser.driver.current_url.endswith("/#/store")
    assert browser.js("document.cookie") == ""


def test_the_time_line_is_filtered(browser: Browser, server: Server) -> None:
    browser.open(server)
    read(browser)
    field = browser.driver.find_element("css selector", "input[type=search]")
    field.send_keys("target17")
    browser.until("document.body.innerText.includes('250 shown')")
    field.clear()
    field.send_keys("zzz")
    browser.until("document.body.innerText.includes('None of them is such')")
    field.clear()
    field.send_keys(" \b")
    browser.driver.find_element("css selector", "option[value=other]").click()
    browser.until("document.body.innerText.includes('1 shown')")


def test_no_two_lines_of_a_plot_look_alike(browser: Browser, server: Server) -> None:
    browser.open(server, "#/forecasts")
    browser.until("document.querySelectorAll('.plot canvas').length === 3")
    plots = browser.js(
        "[...document.querySelectorAll('.plot')].map((plot) =>"
        " [...plot.querySelectorAll('.u-marker')].map(({ style }) => style.border))"
    )
    assert max(map(len, plots)) > 5
    for looks in plots:
        assert len({*looks}) == len(looks)


def test_whoever_comes_back_to_the_time_line_finds_the_place(
    browser: Browser, server: Server
) -> None:
    browser.open(server)
    read(browser)
    for place in (5_000, 7_000):
        browser.js("document.querySelector('.rows').scrollTop = arguments[0]", place)
        browser.until("document.querySelector(arguments[0])", f"[data-at='{place // 38 + 1}']")
        browser.js("location.hash = '#/store'")
        browser.until("document.body.innerText.includes('Illuminated')")
        browser.js("location.hash = '#/'")
        browser.until("document.querySelector('.rows')")
        assert browser.js("document.querySelector('.rows').scrollTop") == place
    assert browser.said() == []


def test_the_keyboard_walks_the_runs_and_opens_one(browser: Browser, server: Server) -> None:
    from selenium.webdriver import Keys  # noqa: PLC0415 - not everywhere installed

    browser.open(server)
    read(browser)
    browser.js("document.querySelector('.filters select').focus()")
    browser.keys(Keys.TAB)
    assert browser.js("document.activeElement.hash") == "#/entry/10005"
    browser.keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP)
    browser.until("document.activeElement.hash === '#/entry/10004'")
    browser.keys(Keys.END)
    browser.until("document.activeElement.hash === '#/entry/0'")
    browser.keys(Keys.ENTER)
    browser.until("document.querySelector('.drawing svg')")
    browser.until("document.activeElement.tagName === 'H1'")
    assert "out.txt" in browser.text()
    browser.driver.back()
    browser.until("location.hash !== '#/entry/0'")


def test_what_a_program_is_called_stays_words(browser: Browser, server: Server) -> None:
    for place in ("", "#/entry/2", "#/entry/3", "#/entry/0"):
        browser.open(server, place)
        browser.until(WHOLE)
        assert browser.js("document.title") != "owned"
        assert browser.js("[...document.querySelectorAll('main img, main script')].length") == 0
        assert browser.said() == []
    browser.open(server, "#/entry/3")
    browser.until("document.body.innerText.includes(arguments[0])", "onerror=")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("theme", "width"),
    [
        ("light", 1280),
        ("dark", 360),
        pytest.param("dark", 1280, marks=pytest.mark.long),
        pytest.param("light", 360, marks=pytest.mark.long),
    ],
)
def test_an_audit_finds_nothing_serious(
    browser: Browser, server: Server, place: str, theme: str, width: int
) -> None:
    source = axe()
    browser.open(server, place, theme=theme, width=width)
    browser.until(WHOLE)
    browser.driver.execute_script(source)
    found = browser.driver.execute_async_script(AUDIT)
    assert [each for each in found if each[0] in ("serious", "critical")] == []


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_wider_than_a_phone(browser: Browser, server: Server, place: str) -> None:
    browser.open(server, place, width=360)
    browser.until(WHOLE)
    assert browser.js("document.documentElement.scrollWidth") <= 360


def test_a_run_that_comes_meanwhile_appears(browser: Browser, tmp_path: Path) -> None:
    fill(tmp_path / "home", 5)
    with serving(tmp_path / "home") as server:
        browser.open(server)
        browser.until("document.body.innerText.includes('5 shown')")
        fill(tmp_path / "home", 300, [b"later"])
        browser.until("document.body.innerText.includes('305 shown')")
        assert "later target" in browser.text()


def test_a_server_that_is_gone_is_said(browser: Browser, tmp_path: Path) -> None:
    with viewing(tmp_path / "home", "--json") as child:
        assert child.stdout is not None
        browser.visit(json.loads(child.stdout.readline())["url"])
        browser.until("document.body.innerText.includes('No run is in the ledger yet')")
    browser.until("document.querySelector('[role=alert]')")
