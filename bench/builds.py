"""Whole builds: plain, and through wrappers that keep what compilers made, ours beside the peers'.

    python bench/builds.py [--rounds N] [--only NAME] [--folder DIR] [--write]

Builds Lua with make and orjson, whose source distribution carries its crates, with cargo, two jobs
at a time. In every round each tool begins with an empty cache and builds once (cold); then all that
was built is removed, and it builds again twice (hot). So a busy machine is busy for all, and cold
builds are compared with the plain build of the same round. What was built is compared with that of
the plain build, byte by byte. Needs make, a C compiler, cargo and the package index; `ccache` and
`sccache` are left out where they are missing. `--write` renews bench/results/builds.md.
"""

import argparse
import ctypes
import hashlib
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from program_set import fetch
from real_programs import LUA, LUA_AT

RESULT = Path(__file__).parent / "results" / "builds.md"
TOOLS = Path(sys.executable).parent  # where our wrappers are
ORJSON, ORJSON_SHA256 = (
    "orjson==3.13.0",
    "d1de5eb04485110c5da4c657e49168995d55e076b1ce60f1a042e254f4186c4f",
)
HOT = 2

PAGE = """\
# Whole builds, cold and hot

Measured by `python bench/builds.py --write` on {day}: {system}, {machine}, {cores} cores;
{compilers}; load {before:.1f} before, {after:.1f} after.

Seconds: medians of {rounds} rounds, the fastest and the slowest. Cold: into an empty cache. The
ratios are medians of each round's to the plain build of that round, of seconds and of processor
time, which other work on the machine changes less (that of our keeper is in it, to its end; that of
sccache's server is not). Hot: again after all that was built was removed. Runs: calls of the
compiler that were answered from the store in a hot build, of all that the ledger has of it. Same:
what was built is as in the plain build, byte by byte.

| build | tool | cold | ratio | processor | hot | runs | same |
|---|---|---:|---:|---:|---:|---:|---|
{rows}
"""


class Build(NamedTuple):
    """A project: how it is built and cleaned, and what of it is compared."""

    name: str
    words: Sequence[str]
    cleaned: Sequence[str]
    results: Sequence[str]
    environment: Mapping[str, str]


class Tool(NamedTuple):
    """What stands in the compilers' places, or `before` the whole; `ended` is run after all."""

    name: str
    environment: Mapping[str, str]
    words: Sequence[str] = ()
    ended: Sequence[str] = ()
    before: Sequence[str] = ()


class Taken(NamedTuple):
    """What the builds of one tool in one round took and made."""

    cold_s: float
    cold_cpu_s: float
    hot_s: tuple[float, ...]
    made: Mapping[str, str]
    answered: str


BUILDS = (
    Build(
        "lua",
        ("make", "-s", "-j2", "-C", "src", "linux"),
        ("make", "-s", "-C", "src", "clean"),
        ("src/lua", "src/luac", "src/liblua.a"),
        {},
    ),
    Build(
        "orjson",
        ("cargo", "build", "-q", "-j2", "--release", "--offline"),
        ("rm", "-rf", "target"),
        ("target/release/liborjson.so",),
        {"PYO3_PYTHON": sys.executable, "CARGO_INCREMENTAL": "0"},
    ),
)


def tools_for(build: Build, folder: Path) -> list[Tool]:
    """Plain first: the others are compared with it."""
    home, cache = str(folder / "home"), str(folder / "cache")
    whole = (str(TOOLS / "redoxa"), "run", "--leaves", "--")
    if build.name == "lua":
        return [
            Tool("plain", {}, ("CC=gcc -std=gnu99",)),
            Tool("ccache", {"CCACHE_DIR": cache}, ("CC=ccache gcc -std=gnu99",)),
            Tool("redoxa", {"REDOXA_HOME": home}, (f"CC={TOOLS}/redoxa-cc -std=gnu99",)),
            Tool("redoxa --leaves", {"REDOXA_HOME": home}, ("CC=gcc -std=gnu99",), before=whole),
        ]
    wrapped = {"RUSTC_WRAPPER": f"{TOOLS}/redoxa-rustc", "CC": f"{TOOLS}/redoxa-cc"}
    peer = {"SCCACHE_DIR": cache, "RUSTC_WRAPPER": "sccache"}
    return [
        Tool("plain", {}),
        Tool("sccache", peer, ended=("sccache", "--stop-server")),
        Tool("redoxa", {"REDOXA_HOME": home, **wrapped}),
        Tool("redoxa --leaves", {"REDOXA_HOME": home}, before=whole),
    ]


def lay_out(build: Build, folder: Path) -> Path:
    """The project's folder, unpacked."""
    folder.mkdir(parents=True, exist_ok=True)
    archive = fetch(LUA_AT, LUA, folder) if build.name == "lua" else fetch_orjson(folder)
    with tarfile.open(archive) as opened:
        top = opened.getnames()[0].split("/")[0]
        opened.extractall(folder, filter="tar")
    return folder / top


def fetch_orjson(folder: Path) -> Path:
    """The source distribution; the index's client wants its build tool to look at it."""
    place = folder / "maturin"
    subprocess.run([sys.executable, "-m", "venv", place], check=True)
    python = str(place / "bin" / "python")
    subprocess.run([python, "-m", "pip", "-qq", "install", "maturin"], check=True)
    words = ["download", "--no-deps", "--no-build-isolation", "--no-binary", ":all:"]
    subprocess.run(
        [python, "-m", "pip", "-qq", *words, "-d", folder, ORJSON],
        env={**os.environ, "PATH": f"{place / 'bin'}:{os.environ['PATH']}"},
        check=True,
    )
    (archive,) = folder.glob("orjson*.tar.gz")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != ORJSON_SHA256:
        raise SystemExit(f"{archive.name} is not the file this was written for")
    return archive


def adopt_orphans() -> None:
    """Become the parent of what a build leaves behind, so that its processor time is known."""
    set_child_subreaper = 36
    ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0)


def await_orphans() -> None:
    """Wait for the keeper that a build with our wrappers leaves for some seconds."""
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def run(
    words: Sequence[str], project: Path, env: Mapping[str, str], *, to_the_last: bool = False
) -> tuple[float, float]:
    """Seconds that the command took, and of processors; `to_the_last` with what it left behind."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(
        words, cwd=project, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    taken = time.perf_counter() - started
    if to_the_last:
        await_orphans()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stderr.decode(errors='replace')}")
    return taken, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def try_tool(build: Build, tool: Tool, project: Path, folder: Path) -> Taken:
    """One cold build and the hot ones."""
    for name in ("home", "cache"):
        shutil.rmtree(folder / name, ignore_errors=True)
    odd = ("MAKE", "CARGO_", "RUSTC", "CC", "CFLAGS", "REDOXA_", "SCCACHE_", "CCACHE_")
    kept = {name: text for name, text in os.environ.items() if not name.startswith(odd)}
    env = {**kept, **build.environment, **tool.environment}
    words = [*tool.before, *build.words, *tool.words]
    run(build.cleaned, project, env)
    ours = tool.name.startswith("redoxa")
    cold_s, cold_cpu_s = run(words, project, env, to_the_last=ours)
    hot: list[float] = []
    for _ in range(HOT if tool.name != "plain" else 0):
        run(build.cleaned, project, env)
        hot.append(run(words, project, env)[0])
    made = {
        name: hashlib.sha256((project / name).read_bytes()).hexdigest() for name in build.results
    }
    if tool.ended:
        run(tool.ended, project, env)
    return Taken(cold_s, cold_cpu_s, tuple(hot), made, answered(tool, env))


def answered(tool: Tool, env: Mapping[str, str]) -> str:
    """How many runs of the last hot build were reused, by the ledger; `-` for others."""
    if not tool.name.startswith("redoxa"):
        return "-"
    words = [str(TOOLS / "redoxa"), "log", "-n", "10000"]
    lines = subprocess.run(words, env=env, capture_output=True, text=True, check=True).stdout
    verdicts = [line.split()[3] for line in lines.splitlines()[1:] if line[:2] == "20"]
    share = len(verdicts) // (1 + HOT)
    return f"{verdicts[:share].count('reused')} of {share}"


def row(build: Build, tool: Tool, rounds: Sequence[Mapping[str, Taken]]) -> str:
    """One line of the table."""
    mine = [taken[tool.name] for taken in rounds]
    plain = [taken["plain"] for taken in rounds]
    ratio = statistics.median(
        one.cold_s / other.cold_s for one, other in zip(mine, plain, strict=True)
    )
    cpu = statistics.median(
        one.cold_cpu_s / other.cold_cpu_s for one, other in zip(mine, plain, strict=True)
    )
    hot = [seconds for taken in mine for seconds in taken.hot_s]
    same = all(one.made == other.made for one, other in zip(mine, plain, strict=True))
    told = (
        build.name,
        tool.name,
        spread([taken.cold_s for taken in mine]),
        f"{ratio:.2f}",
        f"{cpu:.2f}",
        spread(hot) if hot else "",
        mine[-1].answered,
        "yes" if same else "no",
    )
    return "| " + " | ".join(told) + " |"


def spread(seconds: Sequence[float]) -> str:
    """The median, and from where to where."""
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


def version(tool: str) -> str:
    """What a tool says of itself; nothing where it is missing."""
    if shutil.which(tool) is None:
        return ""
    done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.partition("\n")[0]


def is_there(tool: Tool) -> bool:
    """Whether the machine has it."""
    return (
        tool.name == "plain"
        or tool.name.startswith("redoxa")
        or shutil.which(tool.name) is not None
    )


def measure(build: Build, folder: Path, rounds: int) -> list[str]:
    """The lines of one build."""
    project = lay_out(build, folder)
    tools = [tool for tool in tools_for(build, folder) if is_there(tool)]
    found: list[dict[str, Taken]] = []
    for _ in range(rounds):
        found.append({tool.name: try_tool(build, tool, project, folder) for tool in tools})
        print("\n".join(row(build, tool, found) for tool in tools), flush=True)
    return [row(build, tool, found) for tool in tools]


def main() -> None:
    """Measure, print and, if asked to, write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=[build.name for build in BUILDS])
    parser.add_argument("--folder", type=Path, help="where to build (default: a temporary one)")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    adopt_orphans()
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        rows = [
            line
            for build in BUILDS
            if args.only in (None, build.name)
            for line in measure(build, Path(folder) / build.name, args.rounds)
        ]
    page = PAGE.format(
        day=datetime.now(UTC).date(),
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        cores=os.cpu_count(),
        compilers=", ".join(filter(None, map(version, ("gcc", "rustc", "ccache", "sccache")))),
        before=before,
        after=os.getloadavg()[0],
        rounds=args.rounds,
        rows="\n".join(rows),
    )
    print(page)
    if args.write:
        RESULT.write_text(page)


if __name__ == "__main__":
    main()
