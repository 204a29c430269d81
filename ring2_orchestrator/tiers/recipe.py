"""How a demoted object is made again: the ways that recipes name; docs/formats/recipe.md."""

from typing import NamedTuple

from cid_store.cid import Cid
from cid_store.encoding import NodeLike
from cid_store.errors import MalformedNodeError, UnavailableError
from cid_store.tiers import Recipe


class FromContainer(NamedTuple):
    """Decode a container. `kernels` are those it names, in ascending order."""

    container: Cid
    kernels: tuple[Cid, ...]


class FromFrame(NamedTuple):
    """Execute a frame's request again and take one of its outputs.

    `reads` is what that takes besides the frame: the kernel, or the plan and its kernels, and the
    inputs.
    """

    frame: Cid
    output: int
    reads: tuple[Cid, ...]


Way = FromContainer | FromFrame


def recipe_of(way: Way) -> Recipe:
    """The recipe that says so."""
    match way:
        case FromContainer(container, kernels):
            return Recipe("container", _unique(container, *kernels), {"container": container})
        case FromFrame(frame, output, reads):
            fields: dict[str, NodeLike] = {"frame": frame, "output": output}
            return Recipe("frame", _unique(frame, *reads), fields)


def way_of(recipe: Recipe) -> Way:
    """What the recipe says.

    Raises MalformedNodeError, and UnavailableError where it names a way not known here.
    """
    fields = {**recipe.fields}
    match recipe.how:
        case "container":
            match fields:
                case {"container": Cid() as container} if len(fields) == 1:
                    return FromContainer(container, _others(recipe, container))
                case _:
                    raise _malformed(recipe)
        case "frame":
            match fields:
                # `type`, because True is an int to Python, but not to this format.
                case {"frame": Cid() as frame, "output": int(output)} if (
                    len(fields) == 2 and type(output) is int and output >= 0
                ):
                    return FromFrame(frame, output, _others(recipe, frame))
                case _:
                    raise _malformed(recipe)
        case how:
            raise UnavailableError(
                f"this Redoxa does not know the way '{how}' of rebuilding an object; read it with "
                "the Redoxa that demoted it"
            )


def _others(recipe: Recipe, first: Cid) -> tuple[Cid, ...]:
    if first not in recipe.needs:
        raise _malformed(recipe)
    return tuple(need for need in recipe.needs if need != first)


def _unique(*cids: Cid) -> tuple[Cid, ...]:
    return tuple(dict.fromkeys(cids))


def _malformed(recipe: Recipe) -> MalformedNodeError:
    return MalformedNodeError(
        f"this recipe does not say what the way '{recipe.how}' has to; docs/formats/recipe.md does"
    )
