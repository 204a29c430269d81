"""How objects, amounts and times are said on the command line, by every verb alike."""

import argparse
import re

from cid_store.cid import Cid
from cid_store.errors import InputError, MalformedCidError
from cid_store.store import Store
from ring2_orchestrator.report import one_line

_SHOWN = 120  # characters: more than any CID has
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def named(store: Store, word: str) -> Cid:
    """The object of that CID, or the one that a root of that name is bound to."""
    try:
        return Cid.parse(word)
    except MalformedCidError:
        bound = store.root(word)
    if bound is None:
        raise InputError(f"{shown(word)} is neither a CID nor a root of the store")
    return bound


def shown(word: str) -> str:
    """A word of the command line, quoted, and cut to what fits a sentence."""
    return repr(word if len(word) <= _SHOWN else f"{word[: _SHOWN - 3]}...")


def root_name(text: str) -> str:
    """The name of a root that shall be bound."""
    if not text:
        raise argparse.ArgumentTypeError("'' is no name of a root; name one that can be seen")
    return text


def byte_count(text: str) -> int:
    """A number of bytes."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{one_line(text)!r} is not a number of bytes")
    return int(text)


def seconds(text: str) -> float:
    """A time with its unit, in seconds."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhdw]?)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 90s, 30m, 12h, 7d or 0")
    return float(match[1]) * _UNITS[match[2]]
