"""What a compiler's wrapper costs where it has no answer: a new Python each time, or a loaded one.

    python bench/misses.py [--times N]

Compiles the smallest C file, each time under another name, so that nothing is ever answered, and
prints the least and the median of the processor time of each way, in milliseconds:

- plain: the compiler alone;
- as it is: `redoxa run --compiler`, as the wrapper starts it;
- uncompiled: the same where no bytecode is to be had;
- loaded: the same in a process forked from one that has all modules loaded already. It shows what
  loading costs; Redoxa does not do so.
"""

import argparse
import gc
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

REDOXA = Path(sys.executable).with_name("redoxa")


def words_for(name: str) -> list[str]:
    """One compilation, of a name that was never used."""
    return ["/usr/bin/cc", "-c", "small.c", "-o", f"{name}.o"]


def start(words: list[str], env: Mapping[str, str]) -> None:
    """Run it as a build does."""
    subprocess.run(words, env=env, stdin=subprocess.DEVNULL, check=True)


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
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        one(f"{name}{number}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        taken.append(seconds * 1000)
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
        print(measure(lambda name: start([*recorded, *words_for(name)], env), "as-is", times))
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
