"""Trying ways to keep an object in less room: what each saves, and what rebuilding takes."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import IO, NamedTuple

from cid_store.cid import Cid
from cid_store.errors import DamageError, InputError
from cid_store.inventory import Entry, demotion_bytes, stream_bytes
from cid_store.local import LocalStore
from cid_store.nodes import get_node
from cid_store.pack import record_bytes
from cid_store.tiers import Tier, encode_recipe
from ring0.execution import StepFailedError, WorkLimitError
from ring0.frame import Frame
from ring0.plan import Plan
from ring2_orchestrator.clock import Clock
from ring2_orchestrator.container import Advance, Source, limits
from ring2_orchestrator.finalists import FINALISTS
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.held import decode, held
from ring2_orchestrator.packing import pack
from ring2_orchestrator.planner import Proposal, propose, take_sample
from ring2_orchestrator.tiers.frames import execute, frame_way
from ring2_orchestrator.tiers.policy import Option
from ring2_orchestrator.tiers.rebuild import spooled_object
from ring2_orchestrator.tiers.recipe import FromContainer, FromFrame, Way, recipe_of
from ring2_orchestrator.tiers.tried import Tried, TriedFile
from ring2_orchestrator.toolbox import Toolbox

_MOST_FRAMES = 3  # of several that make an object, those that move least are tried


class Executed(NamedTuple):
    """A frame that made the object anew."""

    way: FromFrame
    option: Option


class Packed(NamedTuple):
    """A container that gave the object back; the file lasts as long as the trial."""

    file: IO[bytes]
    kernels: tuple[Cid, ...]
    option: Option


class Trials:
    """Tries frames and containers for objects of one store, and remembers what packing came to.

    Nothing is written to the store. `together_bytes` is how much is tried in one act: kernels that
    the store lacks are put once, so each object bears its share of them.
    """

    def __init__(
        self,
        store: LocalStore,
        tools: Toolbox,
        clock: Clock,
        tried: TriedFile,
        genes: Sequence[Gene],
    ) -> None:
        self._store = store
        self._tools = tools
        self._clock = clock
        self._tried = tried
        self._genes = genes
        self._promising: dict[Cid, Sequence[Gene]] = {}
        self.together_bytes = 0

    def executed(self, entry: Entry, makers: Sequence[tuple[Cid, int]]) -> Executed | None:
        """The first of these frames that makes the object anew, timed."""
        for cid, output in makers[:_MOST_FRAMES]:
            try:
                way = frame_way(self._store, cid, output)
                frame = Frame.from_node(get_node(self._store, cid))
                start = self._clock.monotonic_ns()
                made = execute(frame, self._store, self._tools)[output]
                cost_s = self._since(start)
            except (DamageError, InputError):
                continue  # what lacks its inputs by now makes nothing
            if entry.cid not in way.reads and Cid.of(made, entry.cid.codec) == entry.cid:
                return Executed(
                    way, _option(entry, Tier.UMBRA, self._kept(entry, way, cost_s), cost_s)
                )
        return None

    def expected(self, entry: Entry) -> Option:
        """What packing the object is expected to come to: from a sample, or as it came last time.

        The saving is not above 0 where nothing makes it smaller.
        """
        tried = self._tried.find(entry.cid)
        if tried is None:
            tried = self._sampled(entry)
            self._tried.remember(entry.cid, tried)
        return _option(entry, Tier.PENUMBRA, tried.stored_bytes, tried.cost_s)

    @contextmanager
    def packed(self, entry: Entry, advance: Advance | None = None) -> Generator[Packed]:
        """The smallest container of the object, verified by decoding it, which is timed."""
        genes = self._promising.pop(entry.cid, self._genes)
        with (
            spooled_object(self._store, entry.cid, f"object {entry.cid.short}") as source,
            held() as file,
        ):
            plan = pack(source, file, genes, self._tools, advance=advance).plan
            kernels = plan.kernels if plan is not None else ()
            cost_s = self._decoding(file)
            way = FromContainer(entry.cid, kernels)  # the container's own name is as long
            stored = self._kept(entry, way, cost_s) + stream_bytes(file.seek(0, 2))
            self._tried.remember(entry.cid, Tried(stored, cost_s))
            file.seek(0)
            option = _option(entry, Tier.PENUMBRA, stored, cost_s)
            yield Packed(file, kernels, option)

    def _sampled(self, entry: Entry) -> Tried:
        with spooled_object(self._store, entry.cid, f"object {entry.cid.short}") as source:
            found = propose(source, self._genes, self._tools.packer, self._tools.kernels)
            if not found:
                return Tried(entry.stored_bytes, 0.0)
            self._promising[entry.cid] = [
                gene for gene in self._genes if gene.name in {at.gene for at in found[:FINALISTS]}
            ]
            return self._projected(entry, source, found[0])

    def _projected(self, entry: Entry, source: Source, proposal: Proposal) -> Tried:
        plan = proposal.plan
        data = take_sample(source).data
        whole = len(data) // plan.input.width * plan.input.width
        cost_s = self._inverting(plan, data[:whole]) * source.size / max(whole, 1)
        way = FromContainer(entry.cid, plan.kernels)  # the container's own name is as long
        stored = self._kept(entry, way, cost_s) + stream_bytes(proposal.expected_bytes)
        return Tried(stored, cost_s)

    def _inverting(self, plan: Plan, data: bytes) -> float:
        executor = self._tools.packer.with_limits(limits(len(data)))
        try:
            streams = executor.forward(plan, data).outputs
            start = self._clock.monotonic_ns()
            executor.inverse(plan, streams)
        except (StepFailedError, WorkLimitError):
            return 0.0  # these bytes are stored as they are
        return self._since(start)

    def _decoding(self, file: IO[bytes]) -> float:
        start = self._clock.monotonic_ns()
        decode(file, self._tools)
        return self._since(start)

    def _since(self, start_ns: int) -> float:
        return (self._clock.monotonic_ns() - start_ns) / 1e9

    def _kept(self, entry: Entry, way: Way, cost_s: float) -> int:
        """What a way takes in the packs: record and recipe, and its share of what is new there."""
        recipe = recipe_of(way)
        known = self._tools.kernels.cids
        new = [cid for cid in recipe.needs if cid in known and not self._store.has(cid)]
        kernels = sum(record_bytes(len(self._tools.kernel(cid).wasm)) for cid in new)
        share = kernels * entry.size_bytes // max(self.together_bytes, entry.size_bytes, 1)
        return share + demotion_bytes(entry.cid, entry.size_bytes, cost_s, encode_recipe(recipe))


def _option(entry: Entry, tier: Tier, stored_bytes: int, cost_s: float) -> Option:
    return Option(tier, entry.stored_bytes - stored_bytes, cost_s)
