"""Whatever is edited in between, a build with answered leaves leaves what plain make does."""

import shutil
import subprocess
from collections.abc import Callable

import numpy as np
import pytest

from tests.leaves.conftest import Works

STEPS = 7


def remove(works: Works, *names: str) -> None:
    for name in names:
        (works.project / name).unlink(missing_ok=True)


EDITS: list[Callable[[Works, int], object]] = [
    lambda at, n: at.write("late/word.h", f'#define WORD "word {n}"\n'),
    lambda at, n: at.write("early/word.h", f'#define WORD "early {n}"\n'),
    lambda at, _: remove(at, "early/word.h", "early/other.h"),
    lambda at, n: at.write("early/other.h", f"#define OTHER {n}\n"),
    lambda at, n: at.write("three.c", f"int three(void) {{ return {n}; }}\n"),
    lambda at, n: at.env.update(GCC_COLORS=str(n)),
    lambda at, _: at.clean(),
    lambda at, _: (at.project / "one.c").touch(),
    lambda at, _: remove(at, "two.o", "one.d"),
]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_tree_is_that_of_plain_make(works: Works, seed: int) -> None:
    draw = np.random.default_rng(seed)
    for _ in range(STEPS):
        for _ in range(draw.integers(1, 3)):
            # Few values, so that states come back for which there are answers.
            EDITS[draw.integers(len(EDITS))](works, int(draw.integers(1, 3)))
        works.clean()  # make itself does not see what hides a header, so all is made again
        assert works.make("-j2").exit_code == 0
        mine = works.made()
        twin = works.base / "twin"
        shutil.rmtree(twin, ignore_errors=True)
        shutil.copytree(works.project, twin)
        works.clean()
        subprocess.run(["make", "-s"], cwd=works.project, env=works.env, check=True)
        assert works.made() == mine
        works.clean()
        for path in twin.iterdir():
            if path.suffix in (".o", ".d") or path.name == "prog":
                shutil.copy2(path, works.project / path.name)
    assert works.counts()["reused"]
