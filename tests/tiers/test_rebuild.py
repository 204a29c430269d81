"""What a recipe makes is the object, from the store alone; what is no recipe is refused."""

import io
import re
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from typing import IO, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cid_store.cid import Cid, Codec
from cid_store.errors import DamageError, InputError, MalformedNodeError, UnavailableError
from cid_store.memory import MemoryStore
from cid_store.nodes import get_node, put_node
from cid_store.tiers import Recipe, encode_recipe, parse_recipe
from ring0.execution import Limits, StoreMemo
from ring0.frame import Frame, Operation, Request, root_name
from ring0.host import Host
from ring2_orchestrator import planner
from ring2_orchestrator.container import BytesSource, Original, write_stored
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.kernels import KernelSet
from ring2_orchestrator.packing import pack
from ring2_orchestrator.tiers.frames import frame_way, makers
from ring2_orchestrator.tiers.rebuild import Rebuilder
from ring2_orchestrator.tiers.recipe import FromContainer, FromFrame, Way, recipe_of, way_of
from ring2_orchestrator.toolbox import Toolbox

ROOT = Path(__file__).resolve().parents[2]
SERIES = (np.cumsum(np.random.default_rng(3).integers(-3, 4, 4000)) + 30_000).astype("<u2")
GENE = "input x: u16\nemit x |> delta(order=1) |> zigzag |> byte_split |> rans0\n"


def rebuilt(store: MemoryStore, tools: Toolbox, way: Way) -> bytes:
    out = io.BytesIO()
    Rebuilder(store, lambda: tools)(
        Cid.of(b"any"), store.put(encode_recipe(recipe_of(way)), Codec.NODE), out
    )
    return out.getvalue()


def packed(store: MemoryStore, tools: Toolbox, data: bytes, gene: str = GENE) -> FromContainer:
    out = io.BytesIO()
    plan = pack(BytesSource(data), out, [Gene.parse(gene, tools.palette)], tools).plan
    kernels = plan.kernels if plan is not None else ()
    put_kernels(store, tools)
    return FromContainer(store.put(out.getvalue()), kernels)


def put_kernels(store: MemoryStore, tools: Toolbox) -> None:
    store.put_many(kernel.wasm for kernel in tools.kernels)


def framed(store: MemoryStore, tools: Toolbox, data: bytes, *, inverse: bool = False) -> Frame:
    """The frame of a plan that was run on the data, or undone."""
    plan = Gene.parse(GENE, tools.palette).plan()
    store.put(plan.to_bytes(), Codec.NODE)
    given = store.put(data)
    executor = tools.executor.with_limits(Limits(), memo=StoreMemo(store))
    outputs = executor.forward(plan, data).outputs
    request = Request(plan.cid, Operation.FORWARD, b"", (given,))
    if inverse:
        executor.inverse(plan, outputs)
        request = Request(plan.cid, Operation.INVERSE, b"", tuple(map(Cid.of, outputs)))
    cid = store.root(root_name(request))
    assert cid is not None
    return Frame.from_node(get_node(store, cid))


# Recipes


def cids() -> st.SearchStrategy[Cid]:
    return st.binary(max_size=4).map(Cid.of)


@given(cids(), st.lists(cids(), max_size=4, unique=True), st.integers(0, 1 << 20))
def test_a_way_comes_back_from_its_recipe(first: Cid, rest: list[Cid], output: int) -> None:
    others = tuple(cid for cid in rest if cid != first)
    for way in (FromContainer(first, others), FromFrame(first, output, others)):
        recipe = parse_recipe(encode_recipe(recipe_of(way)))
        assert way_of(recipe) == way
        assert set(recipe.needs) == {first, *others}


A = Cid.of(b"a")
NOT_RECIPES = [
    Recipe("container", (A,), {}),
    Recipe("container", (), {"container": A}),
    Recipe("container", (A,), {"container": "a"}),
    Recipe("container", (A,), {"container": A, "more": 1}),
    Recipe("frame", (A,), {"frame": A, "output": -1}),
    Recipe("frame", (A,), {"frame": A, "output": True}),
    Recipe("frame", (A,), {"frame": A}),
    Recipe("frame", (), {"frame": A, "output": 0}),
]


@pytest.mark.parametrize("recipe", NOT_RECIPES, ids=str)
def test_what_does_not_say_its_way_is_refused(recipe: Recipe) -> None:
    with pytest.raises(MalformedNodeError, match="does not say what the way"):
        way_of(parse_recipe(encode_recipe(recipe)))


def test_a_way_of_a_later_redoxa_is_no_damage() -> None:
    with pytest.raises(UnavailableError, match="read it with the Redoxa that demoted it"):
        way_of(Recipe("run", (A,), {"trace": A}))


def test_the_page_s_example_is_right(tools: Toolbox) -> None:
    store = MemoryStore()
    out = io.BytesIO()
    write_stored(out, Original.of(BytesSource(b"abc")), tools.kernels)
    way = FromContainer(store.put(out.getvalue()), ())
    data = encode_recipe(recipe_of(way))
    page = (ROOT / "docs" / "formats" / "recipe.md").read_text("utf-8")
    lines = page.partition("    85\n")[2].splitlines()
    shown = [
        byte
        for line in lines
        for byte in takewhile(re.compile("[0-9a-f]{2}").fullmatch, line.split())
    ]
    assert str(way.container) in page
    assert str(Cid.of(data, Codec.NODE)) in page
    digest = way.container.digest
    assert f"{digest.hex()[:8]}…{digest.hex()[-6:]}" in page
    assert data.replace(digest, b"") == b"\x85" + bytes.fromhex("".join(shown))
    assert len(data) == 125
    assert rebuilt(store, tools, way) == b"abc"


# Containers


def test_a_container_gives_the_object_back(tools: Toolbox) -> None:
    store = MemoryStore()
    for data in (SERIES.tobytes(), SERIES.tobytes() + b"odd", b"", b"incompressible"):
        assert rebuilt(store, tools, packed(store, tools, data)) == data


def test_a_kernel_that_is_not_shipped_any_more_is_taken_from_the_store(tools: Toolbox) -> None:
    store = MemoryStore()
    recipe = packed(store, tools, SERIES.tobytes())
    frame = framed(store, tools, SERIES.tobytes())
    remains = KernelSet(
        tools.kernels.folder(name) for name in tools.kernels.names if name not in ("delta", "rans0")
    )
    with Host(base=remains.cids) as host:
        later = Toolbox(remains, host)
        assert rebuilt(store, later, recipe) == SERIES.tobytes()
        how = frame_way(store, frame.cid, 0)
        assert rebuilt(store, later, how) == store.get(frame.outputs[0])
        assert not host.is_base(tools.kernels.by_name("delta"))
        bare = MemoryStore()
        bare.put(store.get(recipe.container))
        with pytest.raises(DamageError, match="is not in this store"):
            rebuilt(bare, later, recipe)


def test_a_damaged_container_is_damage(tools: Toolbox) -> None:
    store = MemoryStore()
    recipe = packed(store, tools, SERIES.tobytes())
    data = bytearray(store.get(recipe.container))
    data[len(data) // 2] ^= 1
    with pytest.raises(DamageError, match="damaged: its check fails"):
        rebuilt(store, tools, recipe._replace(container=store.put(bytes(data))))


def test_where_temporary_files_find_no_room_that_is_said_and_is_no_damage(
    tools: Toolbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(max_size: int) -> IO[bytes]:
        assert max_size > 0
        return cast("IO[bytes]", Path("/dev/full").open("wb", buffering=0))

    store = MemoryStore()
    recipe = packed(store, tools, SERIES.tobytes())
    monkeypatch.setattr("tempfile.SpooledTemporaryFile", full)
    with pytest.raises(UnavailableError, match="the folder for temporary files takes no more"):
        rebuilt(store, tools, recipe)


# Frames


@pytest.mark.parametrize("inverse", [False, True], ids=["forward", "inverse"])
def test_every_frame_gives_its_outputs_back(tools: Toolbox, inverse: bool) -> None:
    store = MemoryStore()
    frame = framed(store, tools, SERIES.tobytes(), inverse=inverse)
    assert len(frame.parts) > 3
    for cid in (*frame.parts, frame.cid):
        for number, output in enumerate(Frame.from_node(get_node(store, cid)).outputs):
            recipe = frame_way(store, cid, number)
            assert rebuilt(store, tools, recipe) == store.get(output)


def test_what_a_frame_s_recipe_reads_is_all_that_it_needs(tools: Toolbox) -> None:
    store = MemoryStore()
    put_kernels(store, tools)
    frame = framed(store, tools, SERIES.tobytes())
    recipe = frame_way(store, frame.cid, 1)
    bare = MemoryStore()
    for cid in (recipe.frame, *recipe.reads):
        bare.put(store.get(cid), cid.codec)
    assert rebuilt(bare, tools, recipe) == store.get(frame.outputs[1])


def test_the_makers_of_an_object_are_found_the_cheapest_first(tools: Toolbox) -> None:
    store = MemoryStore()
    frame = framed(store, tools, SERIES.tobytes())
    stream = frame.outputs[0]
    ways = makers(store, {stream, Cid.of(b"never made")})
    assert set(ways) == {stream}
    works = [Frame.from_node(get_node(store, cid)).cost for cid, _ in ways[stream]]
    sizes = [cost.bytes_in + cost.bytes_out for cost in works]
    assert sizes == sorted(sizes)
    for cid, output in ways[stream]:
        assert Frame.from_node(get_node(store, cid)).outputs[output] == stream


def test_what_is_bound_as_a_frame_and_is_none_makes_nothing(tools: Toolbox) -> None:
    store = MemoryStore()
    frame = framed(store, tools, SERIES.tobytes())
    store.set_root("frame/a", store.put(b"no frame"))
    store.set_root("frame/b", put_node(store, {"no": "frame"}))
    assert set(makers(store, frame.outputs)) == set(frame.outputs)


def test_a_frame_that_does_not_execute_is_damage(tools: Toolbox) -> None:
    store = MemoryStore()
    frame = framed(store, tools, SERIES.tobytes())
    recipe = frame_way(store, frame.cid, 0)
    with pytest.raises(DamageError, match="gives 2 outputs, and number 9 is wanted"):
        rebuilt(store, tools, recipe._replace(output=9))
    kernel = frame_way(store, frame.parts[-1], 0)
    part = Frame.from_node(get_node(store, kernel.frame))
    request = Request(part.request.what, Operation.INVERSE, b"\xff", part.request.inputs)
    wrong = put_node(store, Frame(request, part.outputs, part.cost).to_node())
    with pytest.raises((DamageError, InputError)):
        rebuilt(store, tools, FromFrame(wrong, 0, kernel.reads))


# Start-up


def test_nothing_heavy_is_loaded_before_something_is_rebuilt(tmp_path: Path) -> None:
    code = (
        "import sys; from ring2_orchestrator.home import Home; h = Home(sys.argv[1]); "
        "c = h.store.put(b'x'); h.store.get(c); import ring2_orchestrator.tiers.rebuild; "
        "print([m for m in ('numpy', 'cffi', 'lark', 'ring0') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        cwd=ROOT,
        check=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[]"


def test_the_library_s_genes_pack_what_recipes_name(tools: Toolbox) -> None:
    store = MemoryStore()
    out = io.BytesIO()
    plan = pack(BytesSource(SERIES.tobytes()), out, planner.library(tools.palette), tools).plan
    assert plan is not None
    recipe = FromContainer(store.put(out.getvalue()), plan.kernels)
    assert rebuilt(store, tools, recipe) == SERIES.tobytes()
