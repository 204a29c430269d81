"""Profiles: how fast a container must decode, and how long a plan may be looked for.

Both are counted in units of fuel, which the engine counts the same on every machine; decoding with
what `effort` adds. No profile names a kernel: what codes or decodes too slowly is too dear,
whatever it is called.
"""

from dataclasses import dataclass, replace

from cid_store.errors import UsageError
from ring2_orchestrator.gene.errors import did_you_mean

# Searching is not to take longer than the data is worth: of 100 kB, about a second.
_SEARCH_BASE = 1_000_000_000
_SEARCH_PER_BYTE = 60_000
# What is smaller is worth the less of a search the smaller it is.
_FULL_BASE_BYTES = 1 << 10
# What of a budget that somebody set a quicker profile has.
_QUICKER_PART = 8
# Of so few bytes no plan saves what comparing all alternatives of all genes costs.
TINY_BYTES = 1 << 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Limits on decoding and on the search.

    `decode_fuel` is the effort that decoding may take for each byte of the original, `encode_fuel`
    the fuel of the kernels that code it. `search_fuel` is what the search may cost in all, and less
    for small data. `sample_bytes` is how much of the
    data it sees, `window_bytes` where it looks for periods, `beam` how many streams a step of it
    grows. Of what it finds and of the genes' plans, the `judged` best are compared on a longer
    stretch of `judged_bytes`; `finalists` of them run on everything. Of what is smaller than
    `tiny_bytes` not every gene is tried in all its alternatives.
    """

    name: str
    decode_fuel: int
    encode_fuel: int
    search_fuel: int
    sample_bytes: int
    window_bytes: int
    beam: int
    judged: int
    judged_bytes: int
    finalists: int
    tiny_bytes: int = TINY_BYTES

    def search_limit(self, size_bytes: int) -> int:
        """What a search for a plan of that much data may cost."""
        base = _SEARCH_BASE * min(size_bytes, _FULL_BASE_BYTES) // _FULL_BASE_BYTES
        return min(self.search_fuel, base + _SEARCH_PER_BYTE * size_bytes)


# docs/decisions/plan-profiles.md has the figures behind these.
FAST = Profile(
    name="fast",
    decode_fuel=62,
    encode_fuel=2_500,
    search_fuel=1_500_000_000,
    sample_bytes=1 << 15,
    window_bytes=1 << 17,
    beam=4,
    judged=5,
    judged_bytes=1 << 18,
    finalists=2,
)
BALANCED = Profile(
    name="balanced",
    decode_fuel=700,
    encode_fuel=5_000,
    search_fuel=8_000_000_000,
    sample_bytes=1 << 17,
    window_bytes=1 << 19,
    beam=6,
    judged=8,
    judged_bytes=1 << 20,
    finalists=3,
)
MAX = Profile(
    name="max",
    decode_fuel=10_000,
    encode_fuel=20_000,
    search_fuel=80_000_000_000,
    sample_bytes=1 << 17,
    window_bytes=1 << 19,
    beam=8,
    judged=10,
    judged_bytes=1 << 20,
    finalists=3,
)
PROFILES = {profile.name: profile for profile in (FAST, BALANCED, MAX)}


def in_turn(profile: Profile) -> list[Profile]:
    """The profile, then those that decode more quickly, which are searched for as well.

    Where a budget was set, all of them share it: an eighth for each that is quicker.
    """
    found = [each for each in PROFILES.values() if each.decode_fuel < profile.decode_fuel]
    budget = profile.search_fuel
    if budget == PROFILES.get(profile.name, profile).search_fuel:
        return [profile, *found]
    part = budget // _QUICKER_PART
    own = replace(profile, search_fuel=budget - part * len(found))
    return [own, *(replace(each, search_fuel=part) for each in found)]


def find_profile(name: str) -> Profile:
    """The profile of that name. Raises UsageError."""
    if name not in PROFILES:
        hint = did_you_mean(name, list(PROFILES)) or f"; there are {', '.join(PROFILES)}"
        raise UsageError(f"no profile named '{name}'{hint}")
    return PROFILES[name]
