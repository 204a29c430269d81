"""The machine as a Python program uses it: one object over the store, the kernels and the runs."""

import io
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar

import numpy as np
import numpy.typing as npt

from cid_store.cid import Cid, Codec
from cid_store.encoding import decode
from cid_store.errors import DamageError, InputError, RedoxaError, UsageError
from cid_store.store import Buffer
from cid_store.tiers import Tier
from ring0.execution import Executor, Limits, StoreMemo
from ring0.frame import Frame, Operation, Request, root_name
from ring0.plan import Dtype, Plan
from ring2_orchestrator import packing, planner, refusals
from ring2_orchestrator.arguments import (
    demoted_tier,
    gene_of,
    little_endian,
    named,
    raw,
    require,
    require_bytes,
)
from ring2_orchestrator.arrays import pack_array, unpack_array
from ring2_orchestrator.clock import Clock
from ring2_orchestrator.container import BytesSource, Container
from ring2_orchestrator.gene import Gene, print_plan
from ring2_orchestrator.home import Home, default_home
from ring2_orchestrator.packing_parts import best_plan
from ring2_orchestrator.planner import BEAM, Frontier
from ring2_orchestrator.probe import Probe
from ring2_orchestrator.toolbox import Toolbox
from ring2_orchestrator.winners import Winners
from ring2_orchestrator.winners.kept import keep_winners, open_winners

if TYPE_CHECKING:
    from ring2_orchestrator.fetching.wish import Bounds

_Args = ParamSpec("_Args")
_Made = TypeVar("_Made")

# A search without a gene starts from one hole: any kernels that fit may follow.
_ANYTHING = "input x: {dtype}\nemit x |> ?\n"
_A_FRONTIER = "a frontier, as vm.frontier and vm.tick make it"


def _entered(
    method: "Callable[Concatenate[VM, _Args], _Made]",
) -> "Callable[Concatenate[VM, _Args], _Made]":
    """What the host refuses meanwhile is entered in the ledger, and raised all the same."""

    @wraps(method)
    def entering(self: "VM", *args: _Args.args, **kwargs: _Args.kwargs) -> _Made:
        try:
            return method(self, *args, **kwargs)
        except RedoxaError as error:
            # The VM's own decorator, which cannot stand inside the class that it is used in.
            self._enter(error, method.__name__)  # pyright: ignore[reportPrivateUsage]
            raise

    return entering


class VM:
    """A content-addressed virtual machine over one home folder.

    Everything is named by CID, given as a `Cid` or as its text. Bytes are durable when `put`
    returns; what is read back was hashed on the way. Close it, or use it as a context manager.

    A name that is none raises InputError, anything else in its place UsageError; so does every use
    after `close`.
    """

    def __init__(self, home: str | Path | None = None, *, clock: Clock | None = None) -> None:
        """Open a home folder, made if missing (default: $REDOXA_HOME or the user's data folder)."""
        self._parts = ExitStack()
        path = default_home() if home is None else Path(home)
        self._open: Home | None = self._parts.enter_context(Home(path, clock=clock))

    # Bytes.

    def put(self, data: Buffer | npt.NDArray[np.generic]) -> Cid:
        """Keep bytes, or an array's elements in C order as little-endian bytes; their name."""
        if isinstance(data, np.ndarray):
            data = little_endian(data)
        require_bytes(data)
        return self._home.store.put(data)

    @_entered
    def get(self, cid: Cid | str) -> bytes:
        """The bytes of that name. Raises MissingObjectError or CorruptObjectError."""
        return self._home.store.get(named(cid))

    @_entered
    def view(
        self, cid: Cid | str, dtype: npt.DTypeLike = np.uint8, shape: Sequence[int] | None = None
    ) -> npt.NDArray[np.generic]:
        """The bytes as a read-only array over the store's own memory: checked, not copied.

        `dtype` is taken as little-endian; `shape` defaults to one dimension. Raises InputError
        where the bytes do not fill it.
        """
        cid = named(cid)
        little = np.dtype(dtype).newbyteorder("<")
        buffer = self._home.store.view(cid)
        try:
            array = np.frombuffer(buffer, dtype=little)
            return array if shape is None else array.reshape(shape)
        except ValueError as error:
            raise InputError(
                f"object {cid.short} has {len(buffer):,} bytes, which are not an array of "
                f"{little.name}{'' if shape is None else f' of shape {tuple(shape)}'}"
            ) from error

    # Plans.

    def gene(self, text_or_name: str) -> Gene:
        """A gene from its text, or a shipped one by its name. Raises GeneError or InputError."""
        require(text_or_name, str, "a gene's text, or the name of a shipped one")
        return planner.gene_from(text_or_name, self._tools.palette)

    @_entered
    def plan(
        self,
        cid: Cid | str,
        gene: Gene | None = None,
        *,
        profile: str = "balanced",
        learned: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> Plan:
        """The plan whose container of these bytes is the smallest: real bytes, decoded and checked.

        Tried is what a search finds and the library's genes, as far as they decode as quickly as
        the profile (`fast`, `balanced` or `max`) asks; or only the gene given. A plan without steps
        says that storing the bytes as they are costs least. The plan is kept under its CID.

        With `learned`, what won on data like this is tried first, as the ledger tells; where it
        does as well on a sample, no search is made, and `tell` hears that in a sentence. What a
        search finds is entered in the ledger. Without it, nothing but the bytes and what is asked
        for decides.
        """
        source = self._source(cid)
        genes = planner.library(self._tools.palette) if gene is None else [gene_of(gene)]
        # A plan runs on whole elements; what is left over is the container's business.
        fitting = [each for each in genes if source.size % each.program.dtype.width == 0]
        chosen = planner.find_profile(profile) if gene is None else None
        with self._learning(fitting, chosen, learned=learned, tell=tell, in_parts=False) as winners:
            packed = packing.pack(
                source,
                io.BytesIO(),
                fitting,
                self._tools,
                profile=chosen,
                in_parts=False,
                winners=winners,
            )
        return self._kept(packed.plan if packed.plan is not None else Plan(Dtype.U8, ()))

    def describe(self, plan: Plan) -> str:
        """The plan as the text of a gene that checks to exactly this plan."""
        return print_plan(plan, self._tools.manifests)

    @_entered
    def run(self, plan: Plan | Gene, cid: Cid | str) -> Frame:
        """Execute a plan on an object; the frame names the streams it made, all of them kept.

        What was executed before is looked up, not executed. Raises StepFailedError where a kernel
        refuses the data and UsageError where the bytes are not whole elements.
        """
        cid = named(cid)
        chosen = plan if isinstance(plan, Plan) else self._closed(plan)
        self._kept(chosen)
        self._executor.forward(chosen, self._home.store.view(cid))
        return self._frame(Request(chosen.cid, Operation.FORWARD, b"", (raw(cid),)))

    @_entered
    def invert(self, frame: Frame) -> Cid:
        """Undo a plan's frame from its streams alone; the name of what comes out, checked.

        Raises DamageError if that is not the frame's own input.
        """
        require(frame, Frame, "the frame of a run")
        if frame.request.operation is not Operation.FORWARD:
            raise UsageError("only a forward frame can be undone; run its plan instead")
        plan = Plan.from_bytes(self._home.store.get(frame.request.what))
        streams = [self._home.store.view(output) for output in frame.outputs]
        self._executor.inverse(plan, streams)
        back = self._frame(Request(plan.cid, Operation.INVERSE, b"", frame.outputs))
        if back.outputs != frame.request.inputs:
            raise DamageError(
                f"plan {plan.cid.short} gives {back.outputs[0].short} back, not "
                f"{frame.request.inputs[0].short}: one of its kernels is not a mirror"
            )
        return back.outputs[0]

    # Search, step by step.

    @_entered
    def frontier(self, cid: Cid | str, gene: Gene | None = None, *, dtype: str = "u8") -> Frontier:
        """Where a search for a plan starts: a gene with holes, or anything from one element type.

        Raises InputError when the gene does not fit the bytes.
        """
        chosen = gene_of(gene) if gene is not None else self.gene(_ANYTHING.format(dtype=dtype))
        source = self._source(cid)
        found = planner.start(source, self._tools.packer, self._tools.kernels, chosen)
        if found is None:
            raise InputError(f"gene '{chosen.name}' does not fit {source.name}")
        return found

    def tick(self, frontier: Frontier, beam: int = BEAM) -> Frontier:
        """One step of the search: the `beam` streams grow from which most is hoped for.

        The same frontier and beam give the same again. A search has one store of fuel: whoever goes
        on from an older frontier in another way has what is left of it.
        """
        require(beam, int, "how many streams grow as a beam")
        if beam < 1:
            raise UsageError(f"a beam of {beam} grows nothing; give 1 or more")
        require(frontier, Frontier, _A_FRONTIER)
        return planner.tick(frontier, beam)

    def select_best(self, frontier: Frontier) -> Plan:
        """The best plan seen so far; a search may stop after any tick."""
        require(frontier, Frontier, _A_FRONTIER)
        return self._kept(planner.select_best(frontier))

    # Containers.

    @_entered
    def pack(
        self,
        cid: Cid | str | npt.NDArray[np.generic],
        gene: Gene | None = None,
        *,
        profile: str = "balanced",
        learned: bool = False,
        tell: Callable[[str], None] | None = None,
    ) -> Cid:
        """The smallest container of an object or an array, kept; verified by decoding before it is.

        What is tried for it is what `plan` tries, `learned` or not. Of an array, element type and
        shape are kept, too: `unpack_array` gives it back.
        """
        genes = planner.library(self._tools.palette) if gene is None else [gene_of(gene)]
        chosen = planner.find_profile(profile) if gene is None else None
        tools = self._tools
        if isinstance(cid, np.ndarray):
            with self._learning(
                genes, chosen, learned=learned, tell=tell, in_parts=False
            ) as winners:
                plan_of = partial(
                    best_plan, genes=genes, tools=tools, profile=chosen, winners=winners
                )
                return self._home.store.put(pack_array(cid, tools, plan_of=plan_of))
        source = self._source(cid)
        out = io.BytesIO()
        with self._learning(genes, chosen, learned=learned, tell=tell) as winners:
            packing.pack(source, out, genes, tools, profile=chosen, winners=winners)
        return self._home.store.put(out.getbuffer())

    @_entered
    def unpack(self, cid: Cid | str) -> Cid:
        """What a kept container holds, kept as well. Raises DamagedContainerError."""
        source = self._source(cid, "container")
        out = io.BytesIO()
        packing.unpack(Container(source, self._tools.kernels), out, self._tools)
        return self._home.store.put(out.getbuffer())

    @_entered
    def unpack_array(self, cid: Cid | str) -> npt.NDArray[np.generic]:
        """The array that a kept container holds. Raises InputError where it holds none."""
        return unpack_array(self._home.store.view(named(cid)), self._tools)

    # Tiers.

    def tier(self, cid: Cid | str) -> Tier:
        """Whether an object is kept whole, as a container, or as the frame that makes it."""
        return self._home.store.tier(named(cid))

    def demote(self, cid: Cid | str, to: Tier | str | None = None) -> Tier:
        """Keep an object as what rebuilds it, verified; the tier it then is in.

        It goes to the penumbra or the umbra as `to` says, or else to the umbra where a frame makes
        it quickly enough, and otherwise is packed. It stays where it is if nothing makes it
        smaller. Every method gives its bytes as before.
        """
        cid = named(cid)
        (verdict,) = self._home.tiers.demote([cid], demoted_tier(to))
        if verdict.note:
            raise InputError(verdict.note)
        return self.tier(cid)

    def promote(self, cid: Cid | str) -> bool:
        """Keep a demoted object whole again; false where it is. Raises as `get` does."""
        (verdict,) = self._home.tiers.promote([named(cid)])
        return verdict.move is not None

    # Runs.

    def probe_local(self, script: str | Path, *arguments: str) -> Probe:
        """Run a script recorded, or reuse its results when nothing it depends on changed.

        What the script prints goes to this process's standard output and error. A script that
        fails is a probe with its exit code, not an error; one that cannot be run raises.
        """
        from ring2_orchestrator.probing import probe_local  # noqa: PLC0415 - data needs no runs

        return probe_local(self._home, str(script), arguments)

    async def probe_network(
        self,
        url: str,
        *,
        allow: Sequence[str] = (),
        headers: Sequence[tuple[str, str]] = (),
        offline: bool = False,
        again: bool = False,
        expect: str | None = None,
        bounds: "Bounds | None" = None,
    ) -> Probe:
        """Load an address over HTTP or HTTPS, or use what is kept of it where that still holds.

        What could not be had is a probe in the umbra, or the penumbra if a part came that the next
        probe goes on from, and not an error. `allow` grants hosts for redirects, and private ones;
        `headers` go to the address's own server and are not kept; `offline` asks nobody; `again`
        asks though what is kept is fresh; `expect` is the CID, sha256:HEX or sha512:HEX that must
        come out. Raises UsageError for what cannot be meant.
        """
        from ring2_orchestrator.fetching.wish import Wish  # noqa: PLC0415 - data needs no network
        from ring2_orchestrator.probing import probe_network  # noqa: PLC0415 - as above

        wish = Wish.of(
            url,
            allow=allow,
            headers=headers,
            offline=offline,
            again=again,
            expect=expect,
            bounds=bounds,
        )
        return (await probe_network(self._home, wish)).probe

    # Closing.

    def close(self) -> None:
        """Make everything durable and let go of it; closing twice is harmless."""
        self._open = None
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # Inside.

    @contextmanager
    def _learning(
        self,
        genes: Sequence[Gene],
        profile: planner.Profile | None,
        *,
        learned: bool,
        tell: Callable[[str], None] | None,
        in_parts: bool = True,
    ) -> Generator[Winners | None]:
        """What won before, where that is asked for; what wins in the block is kept."""
        if not learned:
            yield None
            return
        if profile is None:
            raise UsageError(
                "a gene leaves nothing to search for, so nothing can be learned for it"
            )
        home = self._home
        ledger = (lambda: home.ledger) if home.has_ledger else None
        winners, ignored = open_winners(ledger, home.tools, genes, profile, in_parts=in_parts)
        yield winners
        trouble = keep_winners(lambda: home.ledger, winners)
        for sentence in (ignored, winners.left_out, trouble):
            if sentence is not None and tell is not None:
                tell(sentence)

    def _enter(self, error: RedoxaError, method: str) -> None:
        refusals.enter(error, lambda: self._home.ledger, doing=f"vm.{method}")

    @property
    def _home(self) -> Home:
        if self._open is None:
            raise UsageError("this VM has been closed; make another one")
        return self._open

    def _source(self, cid: Cid | str, what: str = "object") -> BytesSource:
        cid = named(cid)
        return BytesSource(self._home.store.view(cid), f"{what} {cid.short}")

    @property
    def _tools(self) -> Toolbox:
        return self._home.tools

    @cached_property
    def _executor(self) -> Executor:
        return self._tools.executor.with_limits(Limits(), memo=StoreMemo(self._home.store))

    def _closed(self, gene: Gene) -> Plan:
        require(gene, Gene, "a plan or a gene")
        if gene.is_open:
            raise UsageError(
                f"gene '{gene.name}' leaves choices open: let vm.plan(cid, gene) take them"
            )
        return gene.plan()

    def _kept(self, plan: Plan) -> Plan:
        self._home.store.put(plan.to_bytes(), Codec.NODE)
        return plan

    def _frame(self, request: Request) -> Frame:
        cid = self._home.store.root(root_name(request))
        assert cid is not None, "an execution with a memo keeps its frame"
        return Frame.from_node(decode(self._home.store.get(cid)))
