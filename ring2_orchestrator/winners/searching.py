"""Searching for plans with what won before: on data of its kind that is tried first."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass

from blake3 import blake3

from cid_store.cid import Cid, Codec
from ring0.plan import Plan
from ring2_orchestrator.container import Advance, Segment, Source
from ring2_orchestrator.gene import Gene
from ring2_orchestrator.planner import (
    FALLBACK,
    Periods,
    Profile,
    Proposal,
    Yardstick,
    library_gene,
    propose,
    retry,
    take_sample,
)
from ring2_orchestrator.planner.profile import TINY_BYTES
from ring2_orchestrator.toolbox import Toolbox
from ring2_orchestrator.winners.features import Features, distance, features_of
from ring2_orchestrator.winners.winner import Winner

# Data whose features differ by no more may be of one kind: halves of one file differ by 1 to 219,
# most different files by more. docs/decisions/plan-learned-prior.md has the figures.
_ALIKE = 220
# So many of the winners on data that is most alike are tried.
_TRIED = 2
# A winner does as well here as it did if what it leaves of the estimated size is larger by no more
# than one part in so many.
_SLACK = 16


@dataclass(frozen=True, slots=True)
class _Search:
    """A full search that was made, and what tells data of its kind."""

    features: Features
    is_part: bool
    yardstick: Yardstick
    found: tuple[Proposal, ...]


class Winners:
    """What won before under the same kernels, genes and profile, and what wins now.

    The same winners and the same bytes give the same plans. Only full searches make winners: what
    was taken over is not taken over again, so that nothing is lost little by little.
    """

    def __init__(
        self, tools: Toolbox, genes: Sequence[Gene], profile: Profile, *, in_parts: bool
    ) -> None:
        self.profile = profile
        self._tools = tools
        self._plain = library_gene(FALLBACK, tools.palette).plan()
        self._under = _digest(tools, genes, profile, in_parts=in_parts)
        self._known: list[Winner] = []
        self._open: list[_Search] = []
        # The winners that are new, how often what happened, and whether it did since settled.
        self.fresh: list[Winner] = []
        self.recalled = 0
        self.taken_over = 0
        self.searched = 0
        self.took_over = False

    @property
    def known(self) -> tuple[Winner, ...]:
        """What won before, the newest first."""
        return tuple(self._known)

    @property
    def left_out(self) -> str | None:
        """In a sentence, which searches were not made; None where all were."""
        why = [
            (self.recalled, "for these very bytes"),
            (self.taken_over, "for data like this, where what won before does as well on a sample"),
        ]
        told = ", ".join(f"{count:,} {what}" for count, what in why if count)
        total = self.recalled + self.taken_over + self.searched
        return f"of {total:,} searches left out: {told}" if told else None

    def know(self, winners: Iterable[Winner]) -> None:
        """Take in winners of earlier searches, the newest first; others than ours are left out."""
        self._known += [each for each in winners if each.under == self._under]

    def recall(self, source: Source, digest: bytes) -> Proposal | None:
        """The plan that won for the very bytes of this digest; expected is what it came to then."""
        name = Cid(Codec.RAW, digest)
        for each in self._known:
            if each.of == name and each.container_bytes is not None:
                yardstick = self._yardstick(source, self.profile)
                plans = {each.plan: each.gene}
                if retry(source, plans, self._tools.sketcher, yardstick, self.profile):
                    return Proposal(each.gene, each.plan, each.container_bytes)
        return None

    def propose(
        self,
        source: Source,
        genes: Sequence[Gene],
        profile: Profile,
        *,
        known: Periods | None = None,
        advance: Advance | None = None,
        is_part: bool = False,
    ) -> list[Proposal]:
        """What the planner proposes, or what won on data like this, where that does as well here.

        `is_part` says that a profile's means are shared among the parts of a file: what is found
        so is not taken for what a whole search would find. Of tiny data nothing is told: it is
        planned in no time, and like anything.
        """
        if source.size < TINY_BYTES:
            return self._propose(source, genes, profile, known=known, advance=advance)
        yardstick = self._yardstick(source, profile)
        features = features_of(yardstick.sample.data)
        like = self._like(features.numbers, is_part=is_part)
        if like:
            found = self._taken_over(
                source,
                genes,
                profile,
                like=like,
                yardstick=yardstick,
                features=features,
                known=known,
            )
            if found:
                self.taken_over += 1
                self.took_over = True
                return found
        found = self._propose(source, genes, profile, known=known, advance=advance)
        self.searched += 1
        if found:
            self._open.append(_Search(features, is_part, yardstick, tuple(found)))
        return found

    def settle(
        self, digest: bytes, segments: Sequence[Segment], gene: str, container_bytes: int
    ) -> None:
        """Note what won of what was searched for, now that a container of these parts stands.

        It is what the container holds, or else what was most promising.
        """
        held = {each.plan for each in segments if each.plan is not None}
        name = Cid(Codec.RAW, digest)
        for each in self._open:
            is_all = not each.is_part and len(segments) == len(held) == 1
            won = next((one for one in each.found if one.plan in held), each.found[0])
            if is_all and won.plan not in held:  # a quicker profile's
                won = Proposal(gene, next(iter(held)), container_bytes)
            self.fresh.append(
                Winner(
                    under=self._under,
                    gene=won.gene,
                    plan=won.plan,
                    features=each.features.numbers,
                    here=each.yardstick.size_here(won.plan),
                    estimated=each.features.estimated,
                    of=name if is_all else None,
                    container_bytes=container_bytes if is_all else None,
                    is_part=each.is_part,
                )
            )
        # Of several files, those that follow may be like those that went before.
        self._known = [*self.fresh[len(self.fresh) - len(self._open) :], *self._known]
        self._open.clear()
        self.took_over = False

    def _like(self, features: bytes, *, is_part: bool) -> list[Winner]:
        """The winners on data most like this; of equally near ones the newest."""
        fitting = [each for each in self._known if is_part or not each.is_part]
        near = [each for each in fitting if distance(each.features, features) <= _ALIKE]
        near.sort(key=lambda each: distance(each.features, features))
        unlike: dict[Plan, Winner] = {}
        for each in near:
            unlike.setdefault(each.plan, each)
        return [*unlike.values()][:_TRIED]

    def _taken_over(
        self,
        source: Source,
        genes: Sequence[Gene],
        profile: Profile,
        *,
        like: Sequence[Winner],
        yardstick: Yardstick,
        features: Features,
        known: Periods | None,
    ) -> list[Proposal]:
        """The plans of winners, or else what their genes come to here; none unless they do well."""
        plans = {self._plain: FALLBACK, **{each.plan: each.gene for each in like}}
        found = retry(source, plans, self._tools.sketcher, yardstick, profile)
        if _does_well(found, like[0], yardstick, features):
            return found
        names = {FALLBACK, *(each.gene for each in like)}
        theirs = [gene for gene in genes if gene.name in names]
        if not any(gene.is_open for gene in theirs):
            return []
        found = self._propose(source, theirs, profile, known=known, earlier=plans)
        return found if _does_well(found, like[0], yardstick, features) else []

    def _propose(
        self,
        source: Source,
        genes: Sequence[Gene],
        profile: Profile,
        *,
        known: Periods | None,
        earlier: Mapping[Plan, str] | None = None,
        advance: Advance | None = None,
    ) -> list[Proposal]:
        tools = self._tools
        return propose(
            source,
            genes,
            tools.packer,
            tools.kernels,
            profile,
            known=known,
            sketcher=tools.sketcher,
            earlier=earlier,
            advance=advance,
        )

    def _yardstick(self, source: Source, profile: Profile) -> Yardstick:
        sample = take_sample(source, profile.sample_bytes)
        return Yardstick(sample, self._tools.sketcher, self._tools.kernels)


def _does_well(
    found: Sequence[Proposal], nearest: Winner, yardstick: Yardstick, features: Features
) -> bool:
    """Whether the best of some plans does as well here as the nearest winner did there."""
    if not found:
        return False
    here = min(yardstick.size_here(each.plan) for each in found)
    there = nearest.here * features.estimated * (_SLACK + 1)
    return here * nearest.estimated * _SLACK <= there


def _digest(tools: Toolbox, genes: Sequence[Gene], profile: Profile, *, in_parts: bool) -> bytes:
    """What a winner depends on besides the data: under anything else it is none."""
    hasher = blake3()
    kernels = (cid.to_bytes() for cid in sorted(tools.manifests))
    settings = repr((astuple(profile), in_parts)).encode()
    for part in (*kernels, *(gene.text.encode() for gene in genes), settings):
        hasher.update(len(part).to_bytes(8, "little") + part)
    return hasher.digest()
