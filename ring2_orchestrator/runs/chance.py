"""Which runs drew fresh random numbers for their results: a reuse would give out the old ones.

Told from what a recording shows: the opening of a random device by name, and programs whose work is
to draw. What the kernel gives without a file (getrandom) is not seen;
docs/decisions/runs-randomness.md says why, and where each program was looked at.
"""

import getopt
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from ring2_orchestrator.recorder.event import Event, Flag, Kind, ProcessRecord
from ring2_orchestrator.runs.paths import name_of, shown

DEVICES = frozenset({b"/dev/urandom", b"/dev/random", b"/dev/hwrng"})

# Programs that open a device at every start, or for names of files that vanish again: perl for its
# hashes, git, compilers and linkers for temporary names and symbols of their own, cargo by way of
# its TLS library. A version may follow the name.
_SEEDERS = frozenset({
    b"perl", b"git", b"cc1", b"cc1plus", b"lto1", b"clang", b"rustc", b"cargo", b"lld", b"ld.lld",
    b"rust-lld",
})  # fmt: skip
# SQLite begins each journal and each log with a random number, and opens the device just then.
_SQLITE = (b"-journal", b"-wal", b"-shm")
_VERSION = b"-.0123456789"
_MANY_IN_ONE = frozenset({b"busybox", b"coreutils", b"toybox"})

_DECRYPT = (b"-d", b"--decrypt", b"--version")
_GPG = (
    *_DECRYPT, b"--dearmor", b"--enarmor", b"--export", b"--fingerprint", b"--import", b"-k",
    b"--list-keys", b"-K", b"--list-secret-keys", b"--list-packets", b"--print-md", b"--show-keys",
    b"--verify",
)  # fmt: skip
# Programs that draw, unless one of these options is there.
_UNLESS: Mapping[bytes, Sequence[bytes]] = {
    b"age": _DECRYPT,
    b"age-keygen": (b"-y", b"--version"),
    b"apg": (),
    b"dbus-uuidgen": (b"--get",),
    b"dnssec-keygen": (),
    b"gpg": _GPG,
    b"gpg2": _GPG,
    b"htpasswd": (b"-v",),
    b"makepasswd": (),
    b"mcookie": (),
    b"mkpasswd": (b"-S", b"--salt"),
    b"pwgen": (b"-H", b"--sha1"),
    b"pwqgen": (),
    b"rage": _DECRYPT,
    b"rage-keygen": (b"-y", b"--version"),
    b"shred": (),
    b"shuf": (b"--random-source",),
    b"tsig-keygen": (),
    b"uuid": (b"-d", b"-v3", b"-v5"),
    b"uuidgen": (b"-m", b"--md5", b"-s", b"--sha1"),
}
# Programs that draw only if one of these words is there.
_ONLY: Mapping[bytes, Sequence[bytes]] = {
    b"certtool": (
        b"--generate-privkey", b"-p", b"--generate-self-signed", b"-s", b"--generate-certificate",
        b"-c", b"--generate-request", b"-q", b"--generate-dh-params", b"--to-p12",
    ),
    b"keytool": (b"-genkeypair", b"-genkey", b"-genseckey", b"-gencert"),
    b"minisign": (b"-G",),
    b"signify": (b"-G",),
    b"signify-openbsd": (b"-G",),
    b"wg": (b"genkey", b"genpsk"),
}  # fmt: skip
_OPENSSL_STEADY = frozenset({
    b"asn1parse", b"blake2b512", b"blake2s256", b"ciphers", b"crl", b"crl2pkcs7", b"dgst",
    b"errstr", b"help", b"info", b"kdf", b"list", b"mac", b"md5", b"nseq", b"pkcs7", b"rehash",
    b"sess_id", b"sha1", b"sha224", b"sha256", b"sha384", b"sha512", b"storeutl", b"verify",
    b"version", b"x509",
})  # fmt: skip
_OPENSSL_SIGNS = (b"-sign", b"-req", b"-new", b"-signkey", b"-key", b"-CA")
_SSH_KEYGEN = "ABHKLQUXceghiklopquvyC:D:E:F:I:M:N:O:P:R:T:V:W:Y:Z:a:b:f:g:m:n:r:s:t:w:z:"
_SSH_KEYGEN_STEADY = frozenset({"-B", "-F", "-L", "-Q", "-R", "-e", "-i", "-l", "-r", "-y"})
_SORT_AT_RANDOM = (
    rb"-[bdfghiMnrVcCmsuz]*R\w*|(?:-k|--key=)?\d[\d.,bdfgiMhnrV]*R[\w,.]*"
    rb"|--random-sort|--sort=random"
)
_MKTEMP = b"mktemp"
_MKTEMP_MAKES = (Kind.WRITE, Kind.MKDIR)


def chance_doubts(
    events: Sequence[Event], processes: Sequence[ProcessRecord], touched: Collection[bytes]
) -> Iterator[str]:
    """In words, every way in which the run drew fresh random numbers; `touched` names all paths."""
    if not DEVICES.isdisjoint(touched):
        yield from _devices_opened(events)
    names = [(process, _words_of(process)) for process in processes]
    for name in sorted({words[0] for _, words in names if _draws(words)}):
        yield f"{shown(name)} draws new random numbers each time"
    makers = {process.pid for process, words in names if words[0] == _MKTEMP}
    if makers:
        yield from _left_by_mktemp(events, makers)


def _devices_opened(events: Sequence[Event]) -> Iterator[str]:
    last: dict[int, bytes] = {}
    for event in events:
        if event.path in DEVICES and _reads(event) and not _is_seed(event, last.get(event.pid)):
            yield f"{shown(name_of(event.program))} opened {shown(event.path)}"
        last[event.pid] = event.path


def _reads(event: Event) -> bool:
    return event.kind is Kind.READ or (event.kind is Kind.WRITE and bool(event.flags & Flag.READS))


def _is_seed(event: Event, just_before: bytes | None) -> bool:
    """Whether the numbers only serve the program itself. `just_before`: its path before this."""
    name = name_of(event.program)
    if name in _SEEDERS or name.rstrip(_VERSION) in _SEEDERS:
        return True
    return just_before is not None and just_before.endswith(_SQLITE)


def _words_of(process: ProcessRecord) -> list[bytes]:
    """The program's name and its arguments; of one that is many programs, the one it was."""
    name, words = name_of(process.exe), list(process.argv)
    if name in _MANY_IN_ONE and words:
        words = words[1:] if name_of(words[0]) in _MANY_IN_ONE else words
        name = name_of(words[0]) if words else name
    return [name, *words[1:]]


def _draws(words: Sequence[bytes]) -> bool:
    name, arguments = words[0], words[1:]
    if name in _UNLESS:
        return not _has(arguments, _UNLESS[name])
    if name in _ONLY:
        return _has(arguments, _ONLY[name])
    special = _SPECIAL.get(name)
    return special is not None and special(arguments)


def _has(arguments: Sequence[bytes], options: Sequence[bytes]) -> bool:
    """Whether one of the options is there, alone or with a value joined by an equals sign."""
    return any(word.partition(b"=")[0] in options for word in arguments)


def _openssl_draws(arguments: Sequence[bytes]) -> bool:
    if arguments and arguments[0] == b"enc":
        return b"-d" not in arguments
    steady = bool(arguments) and arguments[0] in _OPENSSL_STEADY
    return not steady or _has(arguments, _OPENSSL_SIGNS)


def _ssh_keygen_draws(arguments: Sequence[bytes]) -> bool:
    try:
        options, _ = getopt.getopt([os.fsdecode(word) for word in arguments], _SSH_KEYGEN)
    except getopt.GetoptError:
        return True
    return _SSH_KEYGEN_STEADY.isdisjoint(name for name, _ in options)


def _sort_draws(arguments: Sequence[bytes]) -> bool:
    at_random = any(re.fullmatch(_SORT_AT_RANDOM, word) for word in arguments)
    return at_random and not _has(arguments, (b"--random-source",))


_SPECIAL: Mapping[bytes, Callable[[Sequence[bytes]], bool]] = {
    b"openssl": _openssl_draws,
    b"sort": _sort_draws,
    b"ssh-keygen": _ssh_keygen_draws,
}


def _left_by_mktemp(events: Sequence[Event], makers: set[int]) -> Iterator[str]:
    """What it made and is gone again (as in every configure script) is nobody's result."""
    made: dict[int, bytes] = {}
    for event in events:
        if event.pid in makers and event.kind in _MKTEMP_MAKES and event.before is None:
            made[event.pid] = event.path
    if makers - made.keys():
        yield "mktemp named a file at random and did not make it"
    for path in sorted(made.values()):
        if os.path.lexists(path):
            yield f"mktemp named {shown(path)} at random, and it is still there"
