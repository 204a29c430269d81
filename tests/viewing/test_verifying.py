"""Containers are decoded in the browser by the kernels themselves, and judged as elsewhere."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cid_store.cid import Cid
from ring2_orchestrator.commands import main
from ring2_orchestrator.viewing.server import Server
from tests.viewing.browser import Browser
from tests.viewing.serving import serving

CONTAINER = Path(__file__).resolve().parents[1] / "container"
VECTORS = CONTAINER / "vectors"
SAMPLES = CONTAINER / "samples"
ROWS = [line.split("\t") for line in (VECTORS / "INDEX.tsv").read_text().splitlines()[1:]]
CODES = {"damaged": "4", "refused": "5"}
RESULTS = (
    "Object.fromEntries([...document.querySelectorAll('.result')].map(({dataset: d}) => "
    "[d.name, [d.verdict, d.digest]]))"
)
DONE = (
    "document.querySelectorAll('.result').length === arguments[0] && "
    "!document.querySelector('.result.running')"
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("verify") / "home") as opened:
        yield opened


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A container of a picture, its original beside it."""
    original = tmp_path / "coffee.rgb8"
    original.write_bytes((SAMPLES / "coffee.rgb8").read_bytes())
    assert main(["pack", "-q", str(original), "-g", "picture_rgb"]) == 0
    return original


def test_every_vector_is_judged_in_the_browser_as_its_index_says(
    browser: Browser, tmp_path: Path
) -> None:
    kernels = [path.read_bytes() for path in sorted((VECTORS / "kernels").glob("*.wasm"))]
    allowed = [name for name, _, _ in ROWS if name.endswith("_allowed")]
    others = [name for name, _, _ in ROWS if not name.endswith("_allowed")]
    with serving(tmp_path / "home", kernels=kernels) as server:
        browser.open(server, "#/verify")
        browser.choose(*(VECTORS / f"{name}.rdx" for name in others))
        browser.until(DONE, len(others))
        browser.driver.find_element("css selector", ".allow input").click()
        browser.choose(*(VECTORS / f"{name}.rdx" for name in allowed))
        browser.until(DONE, len(ROWS))
        judged = browser.js(RESULTS)
    assert len(others) > 60
    assert {
        name: judged[f"{name}.rdx"][1] if said == "exact" else CODES.get(said, said)
        for name, _, _ in ROWS
        for said in [judged[f"{name}.rdx"][0]]
    } == {name: expected for name, expected, _ in ROWS}


def test_a_container_and_its_original_are_exact_and_the_same(
    browser: Browser, server: Server, packed: Path
) -> None:
    browser.open(server, "#/verify")
    browser.choose(packed.with_name("coffee.rgb8.rdx"), packed)
    browser.until(DONE, 1)
    text = browser.text()
    assert "EXACT" in text
    assert "coffee.rgb8 is the same, all 18,000 bytes." in text
    assert text.count(str(Cid.of(packed.read_bytes()))) == 2  # named, and decoded
    assert browser.said() == []
    base = server.url.partition("?")[0]
    assert [url for url in browser.asked() if not url.startswith((base, "data:"))] == []


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


ORIGINAL = (SAMPLES / "coffee.rgb8").read_bytes()


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (flipped(ORIGINAL, 9000), "differs first at byte 9,000"),
        (flipped(ORIGINAL, 0), "differs first at byte 0"),
        (ORIGINAL[:-1], "ends after 17,999 bytes"),
        (ORIGINAL + b"x", "goes on after 18,000 bytes"),
        (b"", "ends after 0 bytes"),
    ],
    ids=["in the middle", "at the front", "shorter", "longer", "empty"],
)
def test_the_first_difference_to_another_file_is_shown(
    browser: Browser, server: Server, packed: Path, other: bytes, says: str
) -> None:
    packed.write_bytes(other)
    browser.open(server, "#/verify")
    browser.choose(packed.with_name("coffee.rgb8.rdx"), packed)
    browser.until(DONE, 1)
    assert f"coffee.rgb8 {says}" in browser.text()


def test_what_is_dropped_anywhere_on_the_page_is_verified(
    browser: Browser, server: Server, packed: Path
) -> None:
    data = [*packed.with_name("coffee.rgb8.rdx").read_bytes()]
    browser.open(server, "#/store")
    browser.js(
        "((data) => { const carried = new DataTransfer();"
        " carried.items.add(new File([Uint8Array.from(data)], 'dropped.rdx'));"
        " document.querySelector('main').dispatchEvent(new DragEvent('drop',"
        " { bubbles: true, cancelable: true, dataTransfer: carried })); })(arguments[0])",
        data,
    )
    browser.until("location.hash === '#/verify'")
    browser.until(DONE, 1)
    assert "dropped.rdx" in browser.text()
    assert "EXACT" in browser.text()


def test_a_changed_container_is_damaged_and_what_is_none_says_so(
    browser: Browser, server: Server, packed: Path
) -> None:
    container = packed.with_name("coffee.rgb8.rdx")
    data = bytearray(container.read_bytes())
    data[-20] ^= 4
    container.write_bytes(data)
    browser.open(server, "#/verify")
    browser.choose(container)
    browser.until(DONE, 1)
    assert "DAMAGED" in browser.text()
    assert "block 0: its check fails" in browser.text()
    browser.choose(packed)
    browser.until(DONE, 2)
    assert "this is not a Redoxa container" in browser.text()


def test_a_kernel_that_never_ends_can_be_stopped_and_the_next_one_is_verified(
    browser: Browser, tmp_path: Path, packed: Path
) -> None:
    with serving(tmp_path / "home") as server:
        browser.open(server, "#/verify")
        # A worker that hears nothing stands for a kernel that does not come back.
        browser.js("window.Kept = Worker")
        browser.js(
            "(window.Worker = class { postMessage() { document.title = 'told'; } terminate() {} },"
            " 1)"
        )
        browser.choose(packed.with_name("coffee.rgb8.rdx"))
        browser.until("document.title === 'told'")
        browser.js("window.Worker = Kept")
        stop(browser)
        browser.until(DONE, 1)
        assert "STOPPED" in browser.text()
        browser.choose(packed.with_name("coffee.rgb8.rdx"))
        browser.until(DONE, 2)
        assert "EXACT" in browser.text()


def stop(browser: Browser) -> None:
    browser.driver.find_element("css selector", ".result.running button").click()


def test_it_can_be_stopped_before_the_kernels_are_there(
    browser: Browser, server: Server, packed: Path
) -> None:
    browser.open(server, "#/verify")
    browser.js("window.keptFetch = fetch")
    browser.js("(window.fetch = () => new Promise(() => {}), 1)")
    browser.choose(packed.with_name("coffee.rgb8.rdx"))
    browser.until("document.querySelector('.result.running button')")
    stop(browser)
    browser.until(DONE, 1)
    assert "STOPPED" in browser.text()
    assert browser.said() == []
    browser.js("window.fetch = keptFetch")
    browser.choose(packed.with_name("coffee.rgb8.rdx"))
    browser.until(DONE, 2)
    assert "EXACT" in browser.text()


def test_the_plans_tree_is_that_of_explain(
    browser: Browser, server: Server, packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    containers = [packed.with_name("coffee.rgb8.rdx")]
    for name, gene in (("mercury.f64", "floats_f64"), ("instrument.i16", "audio_mono")):
        containers.append(packed.with_name(f"{name}.rdx"))
        words = ["pack", "-q", str(SAMPLES / name), "-g", gene, "-o", str(containers[-1])]
        assert main(words) == 0
    browser.open(server, "#/verify")
    for container in containers:
        capsys.readouterr()
        assert main(["explain", str(container), "--json"]) == 0
        plans = json.loads(capsys.readouterr().out)["plans"]
        data = [*container.read_bytes()]
        script = (
            "const [data, done] = arguments;"
            "(async () => {"
            " const { open } = await import('/decoder/container.mjs');"
            " const { trees } = await import('/decoder/tree.mjs');"
            " const buffer = await (await fetch('/kernels')).arrayBuffer();"
            " const view = new DataView(buffer), kernels = [];"
            " for (let at = 0; at < buffer.byteLength; at += 4 + view.getUint32(at, true))"
            "  kernels.push(new Uint8Array(buffer, at + 4, view.getUint32(at, true)));"
            " return trees(open(Uint8Array.from(data), { kernels }));"
            "})().then(done, (error) => done(String(error)));"
        )
        made = browser.driver.execute_async_script(script, data)
        assert [(tree["originalBytes"], tree["root"]) for tree in made] == [
            (plan["original_bytes"], plan["tree"]) for plan in plans
        ]


def test_a_container_that_the_command_line_named_is_verified_at_once(
    browser: Browser, tmp_path: Path, packed: Path
) -> None:
    with serving(tmp_path / "home", [packed.with_name("coffee.rgb8.rdx")]) as server:
        browser.open(server)
        browser.until("location.hash === '#/verify'")
        browser.until(DONE, 1)
        assert "EXACT" in browser.text()


def test_a_named_container_that_cannot_be_read_says_so(
    browser: Browser, tmp_path: Path, packed: Path
) -> None:
    named = [packed.with_name("coffee.rgb8.rdx"), tmp_path / "gone.rdx"]
    with serving(tmp_path / "home", named) as server:
        browser.open(server)
        browser.until(DONE, 2)
        assert browser.js(RESULTS)["gone.rdx"][0] == "failed"
        assert "gone.rdx cannot be used (No such file or directory)" in browser.text()
        assert browser.js(RESULTS)["coffee.rgb8.rdx"][0] == "exact"
