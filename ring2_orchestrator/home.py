"""Where Redoxa keeps its state: one folder, private to its owner, opened part by part."""

import os
import sys
import threading
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cid_store.errors import InputError, RedoxaError
from ring2_orchestrator.clock import Clock, SystemClock

if TYPE_CHECKING:
    from cid_store.cid import Cid
    from cid_store.local import LocalStore
    from cid_store.tiers import Writable
    from ring2_orchestrator.ledger import Ledger
    from ring2_orchestrator.tiers.demotion import Acts
    from ring2_orchestrator.toolbox import Toolbox


def default_home() -> Path:
    """`REDOXA_HOME`, or the folder the platform sets aside for a user's data."""
    if chosen := os.environ.get("REDOXA_HOME"):
        return Path(chosen)
    if data := os.environ.get("XDG_DATA_HOME"):
        return Path(data) / "redoxa"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "redoxa"
    return Path.home() / ".local" / "share" / "redoxa"


class Home:
    """The state of one user: `store/`, `ledger/` and small caches under one private folder.

    Each part opens when it is first asked for, so a command pays only for what it uses.
    """

    def __init__(self, path: Path, *, clock: Clock | None = None, to_read: bool = False) -> None:
        """Make the folder if it is missing (mode 0700). Raises InputError where it cannot be.

        A home `to_read` opens where nothing can be written, too; then nothing can be put there.
        """
        self.path = Path(path).absolute()
        self.clock: Clock = clock if clock is not None else SystemClock()
        self._to_read = to_read
        self._opening = threading.Lock()
        self._parts = ExitStack()
        self._tools: Toolbox | None = None
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise InputError(
                f"the home folder {self.path} cannot be made ({error.strerror}); "
                "name another with --home or REDOXA_HOME"
            ) from error

    @cached_property
    def store(self) -> "LocalStore":
        """The store in `store/`, as the home was opened; what is demoted in it can be read."""
        from cid_store.local import LocalStore  # noqa: PLC0415 - opened only when used

        opened = LocalStore.to_read if self._to_read else LocalStore
        return opened(self.path / "store", rebuild=self._rebuild)

    @cached_property
    def ledger(self) -> "Ledger":
        """The shadow ledger in `ledger/`."""
        from ring2_orchestrator.ledger import Ledger  # noqa: PLC0415 - opened only when used

        ledger = Ledger(self.path / "ledger", store=self.store, clock=self.clock)
        if (self.path / "reuses").exists():
            from ring2_orchestrator.shortcuts.spool import enter_reuses  # noqa: PLC0415 - as above

            # What cannot be entered now stays spooled; whoever asked is not to suffer.
            with suppress(RedoxaError, OSError):
                enter_reuses(self.path, ledger)
        return ledger

    @property
    def has_ledger(self) -> bool:
        """Whether there is a ledger already, or what is left of one.

        A folder where none could be begun, on a full disk say, is none.
        """
        folder = self.path / "ledger"
        if not all(_is_absent(folder / name) for name in ("checkpoint", "tile")):
            return True
        # A link whose disk is not mounted leads to nothing now, and to a ledger tomorrow.
        return not _is_absent(folder) and not folder.is_dir()

    def needed(self) -> "list[Cid]":
        """What the store must keep besides what its roots lead to: the ledger's batches.

        Raises RedoxaError where a ledger is, or surely was, and cannot be read.
        """
        if self.has_ledger:
            return self.ledger.needed()
        self._refuse_lost_ledger()
        return []

    @property
    def tools(self) -> "Toolbox":
        """The shipped kernels, on a host of this home's own; any thread may ask for them."""
        with self._opening:
            if self._tools is None:
                from ring2_orchestrator.toolbox import (  # noqa: PLC0415 - opened only when used
                    open_toolbox,
                )

                self._tools = self._parts.enter_context(open_toolbox())
            return self._tools

    @property
    def tiers(self) -> "Acts":
        """What demotes and promotes the store's objects, and books it in the ledger."""
        from ring2_orchestrator.tiers.demotion import Acts  # noqa: PLC0415 - as above

        return Acts(
            self.store,
            ledger=lambda: self.ledger,
            tools=lambda: self.tools,
            clock=self.clock,
            tried=self.path / "tried.db",
            live=self.needed,
        )

    def _rebuild(self, cid: "Cid", recipe: "Cid", out: "Writable") -> None:
        """Write a demoted object, as the store asks for it."""
        from ring2_orchestrator.tiers.rebuild import Rebuilder  # noqa: PLC0415 - as above

        Rebuilder(self.store, lambda: self.tools)(cid, recipe, out)

    def _refuse_lost_ledger(self) -> None:
        """Raise LedgerUnreadableError where there is no ledger, but something says there was."""
        from ring2_orchestrator.ledger import LedgerUnreadableError  # noqa: PLC0415 - as above

        folder = self.path / "ledger"
        if folder.is_symlink():
            raise LedgerUnreadableError(
                f"{folder} is a link to {folder.readlink()}, where no ledger is now: mount the "
                "disk it lies on, or remove the link if no ledger was begun there"
            )
        for name in ("ledger.key", "ledger.signed"):  # made for a ledger, and only for one
            file = self.path / "keys" / name
            if not _is_absent(file):
                raise LedgerUnreadableError(
                    f"there is no ledger in {folder}, but {file} was made for one: restore it "
                    "from a copy or, if it is gone for good, move that file away"
                )

    def close(self) -> None:
        """Close what was opened."""
        for name in ("ledger", "store"):
            part = self.__dict__.pop(name, None)
            if part is not None:
                part.close()
        self._tools = None
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _is_absent(path: Path) -> bool:
    """Whether there is surely nothing; what may not be looked at may be there."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        pass
    return False
