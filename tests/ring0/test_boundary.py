"""What a boundary grants is a closed set of values, and a kernel is given none of them."""

import dataclasses
from typing import Any

import pytest

from cid_store.errors import UsageError
from ring0.abi import Op
from ring0.boundary import CAUTIOUS, DEFAULT, EFFECTS, Boundary, Capability
from ring0.errors import CapabilityError
from ring0.host import Host
from ring0.kernel import Kernel


def test_nothing_is_granted_unless_it_is_said() -> None:
    assert Boundary().capabilities == DEFAULT.capabilities == CAUTIOUS.capabilities == frozenset()


@pytest.mark.parametrize("kind", EFFECTS)
def test_every_effect_has_its_sentence_and_is_a_value(kind: str) -> None:
    one = Capability(kind, "here")
    assert len(EFFECTS[kind].split()) > 3
    assert one == Capability(kind, "here") != Capability(kind, "there")
    assert kind in str(one)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.scope = "everywhere"  # pyright: ignore[reportAttributeAccessIssue] - that is the question


@pytest.mark.parametrize("kind", ["", "Read", "read ", "everything", "*", "\x1b[2J"])
def test_an_unknown_effect_is_refused(kind: str) -> None:
    with pytest.raises(CapabilityError, match="there are clock, random, read") as caught:
        Capability(kind, "here")
    assert str(caught.value).isprintable()


def test_no_capability_is_for_everything() -> None:
    for kind in EFFECTS:
        with pytest.raises(CapabilityError, match="scope"):
            Capability(kind, "")


def test_the_set_cannot_be_extended() -> None:
    effects: Any = EFFECTS
    with pytest.raises(TypeError):
        effects["everything"] = "do anything"


@pytest.mark.parametrize("forged", ["read", ("read", "/"), object()])
def test_only_capabilities_can_be_granted(forged: Any) -> None:
    with pytest.raises(CapabilityError, match="made by that class"):
        Boundary(capabilities=frozenset({forged}))


@pytest.mark.parametrize("kind", EFFECTS)
def test_a_kernel_holds_no_capabilities_wherever_it_runs(
    kernels: dict[str, Kernel], host: Host, foreign: Host, kind: str
) -> None:
    granted = Boundary(capabilities=frozenset({Capability(kind, "here")}))
    kernel = kernels["endian_swap"]
    params = kernel.manifest.encode_parameters({}, dtype="u16")
    for one in (host, foreign):
        prepared = one.prepare(kernel, Op.FORWARD, params)
        for attempt in (prepared, prepared.strictly):
            with pytest.raises(CapabilityError, match=f"grants {kind} 'here'"):
                attempt([b"ab"], granted)


@pytest.mark.parametrize("name", ["fuel", "memory_bytes", "output_bytes", "wall_ms"])
@pytest.mark.parametrize("value", [1.5, float("nan"), "7", b"7", -1])
def test_a_limit_is_a_whole_number(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match="a boundary's limits"):
        Boundary(**{name: value})
