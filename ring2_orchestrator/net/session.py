"""The network of one run: what the program is told, and what becomes of what it asked."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Self

from cid_store.cid import Cid
from cid_store.errors import UnavailableError
from cid_store.store import Store
from ring2_orchestrator.net.authority import Authority
from ring2_orchestrator.net.exchange import Exchange, put_exchanges
from ring2_orchestrator.net.proxy import Proxy
from ring2_orchestrator.net.sources import Kept, Live, Taken
from ring2_orchestrator.net.variables import proxied
from ring2_orchestrator.recorder.event import Doubt, Event, Kind, Recording

_LOOKS = frozenset({Kind.READ, Kind.STAT, Kind.READLINK, Kind.LIST})
# The helper tells no more than this many doubts, so there may have been others.
_MOST_DOUBTS = 256


class Session:
    """A proxy that lives as long as this does; use it in a `with` statement."""

    def __init__(
        self, source: Live | Kept, *, temp: Path, begun_ns: int, now_ns: int, parting_s: float
    ) -> None:
        self.begun_ns = begun_ns  # before the first answer was given
        self._source, self._parting_s = source, parting_s
        authority = Authority(now_ns=now_ns)
        try:
            self._folder = Path(tempfile.mkdtemp(prefix="redoxa-net-", dir=temp))
            self._trusted = self._folder / "ca.pem"
            self._trusted.write_bytes(authority.pem)
            self._proxy = Proxy(source, authority.context)
        except OSError as error:
            raise UnavailableError(
                f"the recording proxy cannot start: {error.filename or 'loopback'} cannot be used "
                f"({error.strerror}); name another folder in TMPDIR, or run without --net"
            ) from error
        self._exchanges: list[Taken] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._proxy.close(0)
        shutil.rmtree(self._folder, ignore_errors=True)

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """The variables with which a program finds the proxy, and trusts it."""
        return proxied(env, self._proxy.url, os.fspath(self._trusted))

    def settle(
        self,
        recording: Recording,
        found_in: Callable[[bytes], str | None],
        found_in_stream: Callable[[BinaryIO], str | None],
    ) -> None:
        """When the run has ended: what of it was the proxy's doing is no doubt of it any more.

        What was asked and could not be recorded whole is, and so is a secret in it.
        """
        ended = self._proxy.close(self._parting_s)
        self._excuse(recording)
        source = self._source
        with source.lock:
            taken, notes = list(source.taken), list(source.notes)
        if not ended or not all(each.whole for each in taken):
            notes.append("had asked for what had not been answered when it ended")
        self._exchanges = taken
        for note in notes:
            secret = found_in(os.fsencode(note))
            text = note if secret is None else f"asked for an address that holds what {secret} does"
            recording.doubts.append(Doubt("network", text))
        for each in taken:
            if (secret := _secret_in(each, found_in, found_in_stream)) is not None:
                text = f"was answered, or asked for, what {secret} holds, and no secret is kept"
                recording.doubts.append(Doubt("secret", text))

    def _excuse(self, recording: Recording) -> None:
        mine = f" speaks to {self._proxy.address}"
        doubts = [
            doubt
            for doubt in recording.doubts
            if doubt.kind != "network" or not doubt.detail.endswith(mine)
        ]
        if len(recording.doubts) >= _MOST_DOUBTS:
            doubts.append(Doubt("network", "there may have been more than is told"))
        recording.doubts[:] = doubts
        recording.events[:] = [event for event in recording.events if not self._is_own(event)]

    def _is_own(self, event: Event) -> bool:
        """Whether it is a look at what lies there for this run alone, under a name of its own."""
        folder = os.path.realpath(os.fsencode(self._folder))
        below = event.path == folder or event.path.startswith(folder + b"/")
        return below and event.kind in _LOOKS

    def put(self, store: Store) -> Cid | None:
        """Keep what was asked and answered; None where nothing was."""
        if not self._exchanges:
            return None
        return put_exchanges(store, [_stored(each, store) for each in self._exchanges])


def _secret_in(
    taken: Taken,
    found_in: Callable[[bytes], str | None],
    found_in_stream: Callable[[BinaryIO], str | None],
) -> str | None:
    exchange = taken.exchange
    headers = [*exchange.key.headers, *exchange.headers]
    words = [exchange.key.url, exchange.reason, *(value for _, value in headers)]
    if (secret := found_in("\n".join(words).encode("latin-1", "replace"))) is not None:
        return secret
    if taken.path is None:
        return None
    with suppress(FileNotFoundError), taken.path.open("rb") as file:
        return found_in_stream(file)
    return None


def _stored(taken: Taken, store: Store) -> Exchange:
    exchange = taken.exchange
    if taken.path is None or not exchange.size:
        return exchange
    with taken.path.open("rb") as file:
        return exchange._replace(content=store.put_stream(file))
