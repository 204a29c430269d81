"""A demotion that is killed at any wait for the disk loses nothing and leaves the books right."""

import os
import shutil
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from ring2_orchestrator.home import Home
from tests.tiers.test_commands import series

DEMOTE = ("store", "demote", "--auto", "--min-gain", "1")
ROOT = Path(__file__).resolve().parents[2]
STEP = 4 if os.environ.get("REDOXA_LONG") == "bounded" else 1


def typed(home: Path, kill_at: int, *words: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "tests.tiers.killed", str(home), str(kill_at), *words],
        cwd=ROOT,
        capture_output=True,
        timeout=60,
        check=False,
    ).returncode


@pytest.mark.long
def test_a_kill_loses_nothing(tmp_path: Path) -> None:
    made = tmp_path / "made"
    objects = [series(seed, 60_000) for seed in range(2)]
    with Home(made) as opened:
        cids = opened.store.put_many(objects)
        for cid in cids:
            opened.store.set_root(str(cid), cid)
    kill_at = 0
    for kill_at in count(1, STEP):
        home = tmp_path / str(kill_at)
        shutil.copytree(made, home)
        code = typed(home, kill_at, *DEMOTE)
        with Home(home) as opened:
            assert [opened.store.get(cid) for cid in cids] == objects
            books = opened.store.books()
            assert books.total.objects == sum(account.objects for account in books)
            opened.store.gc(live=opened.needed, grace_s=0)
            assert [opened.store.get(cid) for cid in cids] == objects
            assert opened.store.verify(rebuild=True).ok
            opened.ledger.verify()
        # Whoever tries again comes to the same end.
        assert typed(home, 0, *DEMOTE) == 0
        with Home(home) as opened:
            assert opened.store.books().penumbra.objects == len(cids)
            assert [opened.store.get(cid) for cid in cids] == objects
        shutil.rmtree(home)
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert kill_at > 5
