"""Make, build, check, add, list, show and time kernels; rebuild the shipped ones.

`check` examines any file at all: its bytes first, then, if they keep the law, how it behaves in a
worker process under limits, then whether every engine at hand gives the same bytes (Node's V8 where
it is on PATH, wasm2c with a C compiler: pip install 'redoxa[engines]'). An engine that is not there
is named. What there was no time for is marked `--`, and then the module is no kernel yet. It gives
0 for a kernel and 1 for anything else. `build`, `bench` and `rebuild` need the pinned compiler:
pip install 'redoxa[kernels]'. What was added by `add` is known to `list` and `show`; genes use the
shipped kernels only, because containers have to unpack anywhere; `redoxa pack --kernel` brings
another along.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cid_store.errors import InputError
from ring2_orchestrator.commands import Context, add_verbs
from ring2_orchestrator.report import size_text

if TYPE_CHECKING:
    from ring0.kernel import Kernel
    from ring0.manifest import Port
    from ring2_orchestrator.kernel_speed import Timed

EXAMPLES: Sequence[str] = (
    "redoxa kernel new mine",
    "redoxa kernel build mine",
    "redoxa kernel add mine/mine.wasm",
    "redoxa kernel list",
    "redoxa kernel show delta",
    "redoxa kernel check mine.wasm",
    "redoxa kernel check mine.wasm --cases 100000 --lengths 4096 --budget 3600",
    "redoxa kernel check mine.wasm --json",
    "redoxa kernel bench mine",
    "redoxa kernel rebuild",
)

# Far above any module that is accepted; a device or a disk image is not read to its end.
_READ_BYTES = 16 * 1024 * 1024
_MOST = 10_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The words after `redoxa kernel`."""
    verbs = add_verbs(
        parser,
        new="make a folder with a small kernel, to be changed and built",
        list="the kernels that ship with Redoxa, and those that were added",
        show="what one kernel says of itself",
        check="examine a module: whether it is a kernel, and how it behaves",
        add="check a module and keep it in the store under its name",
        build="compile a kernel's folder and put its module there",
        bench="time a kernel beside its own source compiled natively",
        rebuild="compile the shipped kernels again and compare their CIDs; writes nothing",
    )
    verbs["show"].add_argument(
        "kernel", metavar="NAME|FILE", help="a shipped or added kernel, or a .wasm file"
    )
    verbs["check"].add_argument(
        "file", metavar="FILE.wasm", type=Path, help="the module; any bytes do"
    )
    verbs["add"].add_argument("file", metavar="FILE.wasm", type=Path, help="the kernel")
    for verb in ("check", "add"):
        _add_depth(verbs[verb])
    verbs["bench"].add_argument(
        "kernel", metavar="NAME|FOLDER", help="a shipped kernel, or a folder that was built"
    )
    verbs["new"].add_argument(
        "folder", metavar="NAME", type=Path, help="the folder to make; its last part is the name"
    )
    verbs["new"].add_argument(
        "--language", choices=("c", "zig"), default="c", help="what it is written in (default: c)"
    )
    verbs["build"].add_argument(
        "folders",
        metavar="FOLDER",
        nargs="+",
        type=Path,
        help="holds kernel.toml and NAME.c, .zig, .wat or .core.wasm, NAME being its own",
    )


def _add_depth(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cases",
        type=_count,
        default=300,
        metavar="N",
        help="drawn inputs, besides the patterns every kernel is given (default: 300)",
    )
    parser.add_argument(
        "--lengths",
        type=_count,
        default=130,
        metavar="N",
        help="try every length up to so many bytes (default: 130)",
    )
    parser.add_argument(
        "--budget",
        type=_seconds,
        default=120.0,
        metavar="SECONDS",
        help="end then, and say what was not tried (default: 120)",
    )
    parser.add_argument(
        "--no-engines",
        dest="engines",
        action="store_false",
        help="leave out Node's V8, wasm2c and the other ways of compiling",
    )


def _count(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = -1
    if not 0 <= value <= _MOST:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to {_MOST:,}")
    return value


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= _MOST:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0, up to {_MOST:,}")
    return value


def run(args: argparse.Namespace, context: Context) -> int:
    """Do what the verb says; the exit code."""
    return _VERBS[args.verb](args, context)


def _new(args: argparse.Namespace, context: Context) -> int:
    from ring2_orchestrator.kernel_new import create  # noqa: PLC0415 - start-up

    written = create(args.folder, args.language)
    for path in written:
        context.report.line(str(path))
    context.report.say(f"build it with: redoxa kernel build {args.folder}")
    context.report.data({"files": [str(path) for path in written]})
    return 0


def _add(args: argparse.Namespace, context: Context) -> int:
    from ring0.kernel import Kernel  # noqa: PLC0415 - start-up is performance
    from ring2_orchestrator import kernel_shelf  # noqa: PLC0415

    wasm = _read(args.file)  # once: what is kept is what was checked
    code = _examine(wasm, args, context)
    if code != 0:
        return code
    kernel = Kernel.from_wasm(wasm)
    with context.open_home() as home:
        before = kernel_shelf.add(home.store, kernel)
    context.report.line(f"{kernel_shelf.PREFIX}{kernel.name} is now {kernel.cid}")
    if before is not None:
        context.report.say(f"it was {before}")
    return 0


def _added(context: Context) -> "list[Kernel]":
    """What was added to this home; looking makes none."""
    from ring2_orchestrator import kernel_shelf  # noqa: PLC0415 - start-up is performance

    if not (context.home_path / "store").is_dir():
        return []
    with context.open_home() as home:
        return [*kernel_shelf.added(home.store)]


def _list(args: argparse.Namespace, context: Context) -> int:
    del args
    from ring2_orchestrator.kernels import KernelSet  # noqa: PLC0415 - start-up is performance

    shipped = [(kernel, "shipped") for kernel in KernelSet.shipped()]
    kernels = [*shipped, *((kernel, "added") for kernel in _added(context))]
    context.report.data(
        {"kernels": [{**_facts(kernel), "origin": origin} for kernel, origin in kernels]}
    )
    context.report.table(
        ("kernel", "from", "types", "size", "cid", "what it does"),
        [
            (
                kernel.name,
                origin,
                " ".join(kernel.manifest.types) or "-",
                size_text(len(kernel.wasm)),
                f"…{kernel.cid.short}",
                kernel.manifest.summary,
            )
            for kernel, origin in kernels
        ],
    )
    return 0


def _show(args: argparse.Namespace, context: Context) -> int:
    kernel = _find(args.kernel, context)
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
    return _examine(_read(args.file), args, context)


def _examine(wasm: bytes, args: argparse.Namespace, context: Context) -> int:
    from ring0.budget import Budget  # noqa: PLC0415 - start-up is performance
    from ring0.subject import Depth  # noqa: PLC0415
    from ring0.verdicts import Verdicts  # noqa: PLC0415
    from ring2_orchestrator import kernel_check  # noqa: PLC0415
    from ring2_orchestrator.refusals import enter_examination  # noqa: PLC0415

    depth = Depth(args.cases, args.lengths)
    verdicts = Verdicts(context.home_path / "verdicts")
    report = context.report
    with report.progress(f"checking {args.file.name}", kernel_check.steps(depth)) as advance:
        checked = kernel_check.check(
            wasm,
            verdicts,
            depth=depth,
            budget=Budget(args.budget),
            engines=args.engines,
            advance=advance,
        )
    report.data({"file": str(args.file), **kernel_check.facts(checked)})
    for check in checked.checks:
        mark = "ok" if check.passed else "NO" if check.tried else "--"
        report.line(f"{mark:4}{check.name:14}{check.sentence}")
    if not args.engines:
        report.line(f"{'--':4}{'engines':14}not asked")
    name, cid = checked.examination.name, checked.examination.cid
    if checked.passed:
        report.line(f"{args.file} is the kernel '{name}', {cid}")
        return 0
    if not checked.refused:
        report.line(
            f"{args.file} is neither a kernel nor refused: its {args.budget:g} seconds were used "
            "up; --budget gives it more"
        )
        return 1
    report.line(f"{args.file} is refused")
    with context.open_home() as home:
        doing = f"redoxa kernel {args.verb}"
        trouble = enter_examination(checked.whole, lambda: home.ledger, doing=doing)
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


def _bench(args: argparse.Namespace, context: Context) -> int:
    import tempfile  # noqa: PLC0415 - start-up is performance

    from ring0.kernel import Kernel  # noqa: PLC0415
    from ring2_orchestrator import kernel_bench, kernel_build, kernel_speed  # noqa: PLC0415

    kernel_speed.require_machine()
    folder = _folder(args.kernel, kernel_build.source_root())
    source = kernel_build.source_of(folder)
    if source.suffix not in (".c", ".zig"):
        raise InputError(f"{source.name} cannot be compiled natively; C and Zig can")
    kernel = Kernel.from_wasm(kernel_build.committed(folder))
    with tempfile.TemporaryDirectory() as made:
        library = Path(made) / "native.so"
        kernel_build.compile_native(source, library)
        every = kernel_bench.time_all(kernel, library)
    context.report.data(
        {
            "kernel": kernel.name,
            "cid": str(kernel.cid),
            "cases": [_timed_facts(one) for one in every],
        }
    )
    context.report.table(
        ("case", "forward MB/s", "inverse MB/s", "forward to native", "inverse to native"),
        [(one.case or kernel.name, *one.speeds, *one.ratios) for one in every],
    )
    context.report.say("time in the sandbox to time of native SSE2 code; below 1 it is faster")
    return 0


def _folder(text: str, shipped: Path) -> Path:
    """The folder that is meant: one that is here comes before a shipped kernel of its name."""
    here = Path(text)
    if here.is_dir() and ("/" in text or (here / "kernel.toml").is_file()):
        return here.resolve()
    named = shipped / text
    return named if (named / "kernel.toml").is_file() else here.resolve()


def _timed_facts(timed: "Timed") -> dict[str, object]:
    return {
        "case": timed.case,
        "forward_mb_s": timed.speeds[0],
        "inverse_mb_s": timed.speeds[1],
        "forward_to_native": timed.ratios[0],
        "inverse_to_native": timed.ratios[1],
    }


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
    "new": _new,
    "add": _add,
    "list": _list,
    "show": _show,
    "check": _check,
    "build": _build,
    "bench": _bench,
    "rebuild": _rebuild,
}


def _find(text: str, context: Context) -> "Kernel":
    from ring0.kernel import Kernel  # noqa: PLC0415 - start-up is performance
    from ring2_orchestrator.kernels import KernelSet  # noqa: PLC0415

    kernels = KernelSet.shipped()
    path = Path(text)
    is_path = path.suffix == ".wasm" or path.is_file() or "/" in text
    if text not in kernels and is_path:
        wasm = _read(path)
        try:
            return Kernel.from_wasm(wasm)
        except InputError as error:
            raise InputError(f"{path} is no kernel: {error}") from error
    if text not in kernels:
        for kernel in _added(context):
            if kernel.name == text:
                return kernel
        if path.is_dir():
            raise InputError(f"{path} is a folder; name a .wasm file")
    return kernels.by_name(text)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_READ_BYTES)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name a .wasm file") from error


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
