"""The vectors in a kernel's folder: inputs with their outputs, and inputs that are refused."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cid_store.errors import InputError
from ring0.abi import Op

KEYS = {"about": str, "type": str, "params": dict, "bytes": str, "op": str, "refuse": int}


class VectorError(InputError):
    """A file among a kernel's vectors that does not say what a vector must say."""


@dataclass(frozen=True, slots=True)
class Case:
    """One vector: what `op` makes of `inputs`, or the code with which it refuses them.

    An accepted forward case is also one of the inverse, read the other way round.
    """

    kernel: str
    name: str
    about: str
    op: Op
    dtype: str | None
    values: Mapping[str, int]
    params: bytes
    inputs: tuple[bytes, ...]
    outputs: tuple[bytes, ...]
    refuse: int | None

    @property
    def id(self) -> str:
        """The case's name, for a list of all cases."""
        return f"{self.kernel}/{self.name}"


def read_cases(folder: Path) -> Iterator[Case]:
    """Every case in the `vectors` of one kernel folder, by name. Raises VectorError."""
    return (_read(folder.name, path) for path in sorted((folder / "vectors").glob("*.toml")))


def _read(kernel: str, path: Path) -> Case:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise VectorError(f"the vector {path} cannot be read: {error}") from error
    for key, value in table.items():
        if key not in KEYS or type(value) is not KEYS[key]:
            raise VectorError(f"the vector {path}: '{key}' is no key, or its value no {key}")
    op = table.get("op", "forward")
    if op not in ("forward", "inverse") or "about" not in table:
        raise VectorError(f"the vector {path} needs 'about', and 'op' is forward or inverse")
    try:
        params = bytes.fromhex(table.get("bytes", ""))
    except ValueError as error:
        raise VectorError(f"the vector {path}: 'bytes' is not hexadecimal") from error
    refuse = table.get("refuse")
    case = Case(
        kernel=kernel,
        name=path.stem,
        about=table["about"],
        op=Op.INVERSE if op == "inverse" else Op.FORWARD,
        dtype=table.get("type"),
        values=cast("dict[str, int]", table.get("params", {})),
        params=params,
        inputs=_ports(path, "in"),
        outputs=_ports(path, "out"),
        refuse=refuse,
    )
    if not case.inputs or (refuse is None) != bool(case.outputs):
        raise VectorError(f"the vector {path} needs .in, and .out unless it is refused")
    return case


def _ports(path: Path, kind: str) -> tuple[bytes, ...]:
    single = path.with_suffix(f".{kind}")
    if single.exists():
        return (single.read_bytes(),)
    ports: list[bytes] = []
    while (port := path.with_suffix(f".{kind}.{len(ports)}")).exists():
        ports.append(port.read_bytes())
    return tuple(ports)
