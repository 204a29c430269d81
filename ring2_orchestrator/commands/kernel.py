"""List, show, check and build kernels; rebuild the shipped ones.

`check` examines any file at all: its bytes first, then, if they keep the law, how it behaves in a
worker process under limits. It answers 0 for a kernel and 1 for anything else. `build` and
`rebuild` need the pinned compiler: pip install 'redoxa[kernels]'.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import InputError
from ring2_orchestrator.commands import Context, add_verbs
from ring2_orchestrator.report import size_text

if TYPE_CHECKING:
    from ring0.examination import Examination
    from ring0.kernel import Kernel
    from ring0.manifest import Port

EXAMPLES: Sequence[str] = (
    "redoxa kernel list",
    "redoxa kernel show delta",
    "redoxa kernel check mine.wasm",
    "redoxa kernel check mine.wasm --json",
    "redoxa kernel build my_kernels/mine",
    "redoxa kernel rebuild",
)

# Far above any module that is accepted; a device or a disk image is not read to its end.
_READ_BYTES = 16 * 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words after `redoxa kernel`."""
    verbs = add_verbs(
        parser,
        list="the kernels that ship with Redoxa",
        show="what one kernel says of itself",
        check="examine a module: whether it is a kernel, and how it behaves",
        build="compile a kernel's folder and put its module there",
        rebuild="compile the shipped kernels again and compare their CIDs; writes nothing",
    )
    verbs["show"].add_argument(
        "kernel", metavar="NAME|FILE", help="a shipped kernel, or a .wasm file"
    )
    verbs["check"].add_argument(
        "file", metavar="FILE.wasm", type=Path, help="the module; any bytes do"
    )
    verbs["build"].add_argument(
        "folders",
        metavar="FOLDER",
        nargs="+",
        type=Path,
        help="holds kernel.toml and NAME.c, NAME being the folder's own",
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Do what the verb says; the exit code."""
    return _VERBS[args.verb](args, context)


def _list(args: argparse.Namespace, context: Context) -> int:
    del args
    from ring2_orchestrator.kernels import KernelSet  # noqa: PLC0415 - start-up is performance

    kernels = [*KernelSet.shipped()]
    context.report.data({"kernels": [_facts(kernel) for kernel in kernels]})
    context.report.table(
        ("kernel", "types", "size", "cid", "what it does"),
        [
            (
                kernel.name,
                " ".join(kernel.manifest.types) or "-",
                size_text(len(kernel.wasm)),
                f"…{kernel.cid.short}",
                kernel.manifest.summary,
            )
            for kernel in kernels
        ],
    )
    return 0


def _show(args: argparse.Namespace, context: Context) -> int:
    kernel = _find(args.kernel)
    manifest = kernel.manifest
    report = context.report
    report.data(_facts(kernel))
    report.line(f"{manifest.name}, version {manifest.version}: {manifest.summary}")
    report.line(f"cid        {kernel.cid}")
    report.line(f"kind       {manifest.kind}, {size_text(len(kernel.wasm))}")
    if manifest.types:
        report.line(f"T          one of {', '.join(manifest.types)}")
    for what, ports in (("input", manifest.inputs), ("output", manifest.outputs)):
        for port in ports:
            report.line(f"{what:9}  {_port(port)}")
    for one in manifest.parameters:
        report.line(
            f"parameter  {one.name}: {one.min} to {one.max}, {one.default} unless given; "
            f"{one.summary}"
        )
    if manifest.edges:
        report.line(f"edges      {', '.join(manifest.edges)}")
    return 0


def _check(args: argparse.Namespace, context: Context) -> int:
    from ring0.host import Host  # noqa: PLC0415 - start-up is performance
    from ring0.verdicts import Verdicts  # noqa: PLC0415
    from ring2_orchestrator.refusals import enter_examination  # noqa: PLC0415

    wasm = _read(args.file)
    with Host() as host:
        examination = Verdicts(context.home_path / "verdicts").examine(wasm, host)
    report = context.report
    report.data({"file": str(args.file), **_examination_facts(examination)})
    for check in examination.checks:
        report.line(f"{'ok' if check.passed else 'NO':4}{check.name:14}{check.sentence}")
    named = f"{args.file} is the kernel '{examination.name}'"
    if examination.passed:
        report.line(f"{named}, {examination.cid}")
        return 0
    report.line(f"{args.file} is refused")
    with context.open_home() as home:
        trouble = enter_examination(examination, lambda: home.ledger, doing="redoxa kernel check")
    if trouble is not None:
        report.warn(trouble)
    return 1


def _build(args: argparse.Namespace, context: Context) -> int:
    from ring2_orchestrator.kernel_build import write  # noqa: PLC0415 - start-up

    built: list[dict[str, object]] = []
    for given in args.folders:
        folder = given.resolve()
        cid = write(folder)
        context.report.line(f"{folder.name} {cid}")
        built.append({"name": folder.name, "cid": str(cid)})
    context.report.data({"kernels": built})
    return 0


def _rebuild(args: argparse.Namespace, context: Context) -> int:
    del args
    from ring2_orchestrator.kernel_build import rebuild_all  # noqa: PLC0415 - start-up

    rebuilt = rebuild_all()
    context.report.data(
        {
            "kernels": [
                {
                    "name": one.name,
                    "committed": str(one.committed),
                    "rebuilt": str(one.rebuilt),
                    "same": one.same,
                }
                for one in rebuilt
            ]
        }
    )
    context.report.table(
        ("kernel", "committed", "rebuilt", "same"),
        [
            (one.name, f"…{one.committed.short}", f"…{one.rebuilt.short}", _yes(one.same))
            for one in rebuilt
        ],
    )
    return 0 if all(one.same for one in rebuilt) else 1


_VERBS: Mapping[str, Callable[[argparse.Namespace, Context], int]] = {
    "list": _list,
    "show": _show,
    "check": _check,
    "build": _build,
    "rebuild": _rebuild,
}


def _find(text: str) -> "Kernel":
    from ring0.kernel import Kernel  # noqa: PLC0415 - start-up is performance
    from ring2_orchestrator.kernels import KernelSet  # noqa: PLC0415

    kernels = KernelSet.shipped()
    path = Path(text)
    if text not in kernels and (path.suffix == ".wasm" or path.exists()):
        wasm = _read(path)
        try:
            return Kernel.from_wasm(wasm)
        except InputError as error:
            raise InputError(f"{path} is no kernel: {error}") from error
    return kernels.by_name(text)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_READ_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a .wasm file") from error


def _examination_facts(examination: "Examination") -> dict[str, object]:
    return {
        "cid": str(examination.cid),
        "name": examination.name,
        "passed": examination.passed,
        "checks": [
            {"name": check.name, "passed": check.passed, "sentence": check.sentence}
            for check in examination.checks
        ],
    }


def _facts(kernel: "Kernel") -> dict[str, object]:
    return {
        "cid": str(kernel.cid),
        "size_bytes": len(kernel.wasm),
        "manifest": kernel.manifest.to_node(),
    }


def _port(port: "Port") -> str:
    many = ", one stream for each byte of T" if port.per_byte else ""
    return f"{port.name}: {port.type}{many}"


def _yes(value: bool) -> str:  # noqa: FBT001 - one word for one truth
    return "yes" if value else "NO"
