"""What a compiler's wrapper costs where it has no answer: with a keeper, and with Python each time.

    python bench/misses.py [--times N]

Compiles the smallest C file, each time under another name, so that nothing is ever answered, and
prints the least and the median of the processor time of each way, in milliseconds:

- plain: the compiler alone;
- keeper: the wrapper, with what the keeper takes for it, but without its start;
- build: the same for all of N calls and the keeper from its start to its end, by their number;
- python: `redoxa run --compiler`, as the wrapper starts it where no keeper can be had;
- uncompiled: the same where no bytecode is to be had;
- loaded: the same in a process forked from one that has all modules loaded already. It shows what
  loading costs; Redoxa does not do so.
"""

import argparse
import ctypes
import gc
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

REDOXA = Path(sys.executable).with_name("redoxa")
WRAPPER = Path(sys.executable).with_name("redoxa-cc")

_CHILD_SUBREAPER = 36


def words_for(name: str) -> list[str]:
    """One compilation, of a name that was never used."""
    return ["/usr/bin/cc", "-c", "small.c", "-o", f"{name}.o"]


def start(words: list[str], env: Mapping[str, str]) -> None:
    """Run it as a build does."""
    subprocess.run(words, env=env, stdin=subprocess.DEVNULL, check=True)


def processor_ms() -> float:
    """That of all children so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


def keeper_of(home: str) -> int:
    """The process number of the keeper of a home."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"--keeper" in words and os.fsencode(home) in words:
                return int(entry.name)
    raise SystemExit("there is no keeper: is the front end installed?")


def keeper_ms(pid: int) -> float:
    """Its processor time so far, which the kernel counts in nanoseconds."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


def kept(env: Mapping[str, str], home: str, times: int) -> list[str]:
    """The rows of calls that have a keeper."""
    # What a call leaves behind is our child, and so its processor time is known when it has ended.
    ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)
    begun = processor_ms()
    calls: list[float] = []
    for number in range(times):
        words = [str(WRAPPER), *words_for(f"kept{number}")[1:]]
        before = processor_ms(), keeper_ms(keeper_of(home)) if number else 0.0
        start(words, env)
        if number:
            calls.append(processor_ms() - before[0] + keeper_ms(keeper_of(home)) - before[1])
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    whole = (processor_ms() - begun) / times
    return [row("keeper", calls), row("build", [whole])]


def forked(words: list[str]) -> None:
    """Record it in a copy of this process."""
    from redoxa.__main__ import main  # noqa: PLC0415 - after the others were measured

    child = os.fork()
    if not child:
        try:
            main(["run", "--compiler", "--", *words])
        except SystemExit as end:
            os._exit(int(end.code or 0))
        os._exit(1)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the recording failed")


def measure(one: Callable[[str], None], name: str, times: int) -> str:
    """The least and the median of some times."""
    taken: list[float] = []
    for number in range(times):
        before = processor_ms()
        one(f"{name}{number}")
        taken.append(processor_ms() - before)
    return row(name, taken)


def row(name: str, taken: Sequence[float]) -> str:
    """One way, and what it took."""
    return f"{name:10} {min(taken):6.0f} {statistics.median(taken):6.0f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=15)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("small.c").write_text("int main(void) { return 0; }\n")
        os.environ["REDOXA_HOME"] = f"{folder}/home"
        env = {key: text for key, text in os.environ.items() if not key.startswith("PYTHON")}
        # A cache folder that cannot be made, and a place for bytecode where there is none.
        bare = {
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPYCACHEPREFIX": f"{folder}/none",
            "XDG_CACHE_HOME": "/dev/null",
        }
        recorded = [str(REDOXA), "run", "--compiler", "--"]
        start([*recorded, *words_for("first")], env)
        print(measure(lambda name: start(words_for(name), env), "plain", times))
        print("\n".join(kept(env, os.environ["REDOXA_HOME"], times)))
        print(measure(lambda name: start([*recorded, *words_for(name)], env), "python", times))
        less = max(1, times // 3)
        uncompiled = {**env, **bare}
        print(
            measure(
                lambda name: start([*recorded, *words_for(name)], uncompiled), "uncompiled", less
            )
        )
        from redoxa.__main__ import main as run  # noqa: PLC0415 - it is what is measured

        try:  # once here, so that all is loaded
            run(["run", "--compiler", "--", *words_for("here")])
        except SystemExit:
            gc.freeze()
        print(measure(lambda name: forked(words_for(name)), "loaded", times))


if __name__ == "__main__":
    main()
