"""What ``malote doctor`` looks at: each check is told where to look, and says what it found.

Everything is read only, beside a running server or without one. A check that cannot be made is a
finding too; none of them raises.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal, TypeAlias

from attrs import frozen

from api.control import runs
from api.file_fold import folded
from api.keyring import FILE_NAME, Keyring, KeyringDamaged
from api.log_reader import LogReader
from api.providers.contract import active
from api.settings import Settings, is_loopback_url
from api.silence import first_hour, silences
from eventstore.codec import time_text
from eventstore.connection import is_corrupt
from eventstore.folder import FILE_MODE, FOLDER_MODE, free_bytes, log_path
from eventstore.limits import DEFAULT_LIMITS, MIB
from eventstore.log import wall_clock_us
from eventstore.recheck import ChainBroken, follow
from projections import PROJECTIONS
from projections.access import Access, everything, snapshot
from projections.metrics import list_inbox_hours
from projections.reading import digest, fetch
from projections.reading import open_reader as open_projections

Verdict: TypeAlias = Literal["ok", "warning", "fault"]

SQLITE_SAFE = (3, 51, 3)
CLOCK_AHEAD_MAX_S = 5.0
NETWORK_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs", "glusterfs"}
)


@frozen
class Finding:
    """What one check found; ``told`` is one line that says what to do where something is wrong."""

    check: str
    verdict: Verdict
    told: str


Check: TypeAlias = Callable[[Settings], Iterator[Finding]]


def examine(settings: Settings, *, deep: bool = False) -> Iterator[Finding]:
    """All findings, in the order of the checks; ``deep`` folds the whole log once more."""
    checks: tuple[tuple[str, Check], ...] = CHECKS + ((("digests", _digests),) if deep else ())
    for name, check in checks:
        try:
            yield from check(settings)
        except (OSError, sqlite3.Error, ValueError) as trouble:
            yield Finding(name, "fault", f"cannot be looked at: {trouble}")


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data
    if not folder.is_dir():
        yield Finding("folder", "warning", f"{folder} is not there yet; the first start makes it")
        return
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & ~FOLDER_MODE:
        yield Finding("folder", "fault", f"others may enter it: chmod 700 {folder}")
    else:
        yield Finding("folder", "ok", f"{folder}, mode {mode:04o}")
    loose = [
        path.name
        for path in sorted(folder.iterdir())
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & ~FILE_MODE
    ]
    if loose:
        yield Finding("files", "fault", f"others may read {', '.join(loose)}: chmod 600")
    if folder.stat().st_uid != os.geteuid():
        yield Finding("owner", "warning", "the folder is another user's than the one who asks")


def _file_system(settings: Settings) -> Iterator[Finding]:
    kind = _kind_of(settings.data.resolve())
    if kind in NETWORK_SYSTEMS:
        told = f"{kind} is a network file system; SQLite's WAL needs a local one"
        yield Finding("file system", "fault", told)
    else:
        yield Finding("file system", "ok", kind or "unknown")


def _kind_of(path: Path) -> str | None:
    """The kind of file system a path is on; None where the machine does not tell."""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    mounts = [line.split(" ")[1:3] for line in lines]
    around = [(len(at), kind) for at, kind in mounts if path.is_relative_to(at)]
    return max(around)[1] if around else None


def _space(settings: Settings) -> Iterator[Finding]:
    if not settings.data.is_dir():
        return
    free, reserve = free_bytes(settings.data), DEFAULT_LIMITS.disk_reserve_bytes
    told = f"{free // MIB:,} MiB free; below {reserve // MIB} MiB webhooks are answered 503"
    verdict: Verdict = "fault" if free < reserve else "warning" if free < 4 * reserve else "ok"
    yield Finding("space", verdict, told)


def _sqlite(_: Settings) -> Iterator[Finding]:
    version = sqlite3.sqlite_version_info
    told = f"SQLite {sqlite3.sqlite_version}"
    if version < SQLITE_SAFE:
        # The bug needs two connections that checkpoint; here there is one that can.
        told += "; before 3.51.3 two checkpointing connections can corrupt a WAL: Malote has one"
    yield Finding("sqlite", "ok", told)


def _server(settings: Settings) -> Iterator[Finding]:
    if not settings.data.is_dir():
        return
    told = "runs on it, and listens to commands" if runs(settings.data) else "none runs on it"
    yield Finding("server", "ok", told)


def _clock(settings: Settings) -> Iterator[Finding]:
    if not log_path(settings.data).exists():
        return
    with closing(LogReader(settings.data)) as log:
        ahead_s = log.head().recorded_at / 1_000_000 - time.time()
    if ahead_s > CLOCK_AHEAD_MAX_S:
        told = f"the newest event is {ahead_s:,.0f} s in this clock's future; webhooks' signatures"
        yield Finding("clock", "warning", f"{told} are judged by this clock: set it by NTP")
    else:
        yield Finding("clock", "ok", "not behind the newest event")


def _chain(settings: Settings) -> Iterator[Finding]:
    if not log_path(settings.data).exists():
        yield Finding("chain", "warning", "there is no log yet")
        return
    with closing(LogReader(settings.data)) as log:
        first = log.head(max(0, log.head().position - DEFAULT_LIMITS.recheck_links))
        try:
            head = follow(first, log.links(first.position))
        except (ChainBroken, sqlite3.DatabaseError) as broken:
            if not is_corrupt(broken):
                raise
            yield Finding(
                "chain", "fault", f"{broken}; keep the file as it is, run `malote verify`"
            )
            return
    told = f"the newest {head.position - first.position:,} of {head.position:,} links fit"
    yield Finding("chain", "ok", f"{told}; `malote verify` checks all of them")


def _keyring(settings: Settings) -> Iterator[Finding]:
    if not (settings.data / FILE_NAME).exists():
        yield Finding("keyring", "warning", "no inbox and no token was made yet")
        return
    try:
        keyring = Keyring(settings.data / FILE_NAME)
    except KeyringDamaged as damaged:
        yield Finding("keyring", "fault", f"{damaged}; put the copy you keep in its place")
        return
    if not _projections_path(settings).exists():
        yield Finding(
            "keyring", "warning", "can be read; the next start tells whose secrets it has"
        )
        return
    access = _access(settings)
    now_s = int(time.time())
    bare = [name for name in sorted(access.inboxes) if not active(keyring.secrets(name), now_s)]
    if bare:
        told = f"no live secret, every webhook is refused: {', '.join(bare)}"
        yield Finding("keyring", "fault", told)
    else:
        count = len(access.inboxes)
        told = f"{count} inbox{'' if count == 1 else 'es'}, each with a live secret"
        yield Finding("keyring", "ok", told)


def _projections_path(settings: Settings) -> Path:
    return settings.data / "projections.db"


def _access(settings: Settings) -> Access:
    with closing(open_projections(_projections_path(settings))) as db:
        return snapshot(fetch(db, everything()).rows)


def _projections(settings: Settings) -> Iterator[Finding]:
    if not _projections_path(settings).exists():
        yield Finding("projections", "warning", "not there; the next start folds them from the log")
        return
    with closing(open_projections(_projections_path(settings))) as db:
        [(verdict,)] = db.execute("PRAGMA quick_check(1)").fetchall()
        behind = dict(db.execute("SELECT name, position FROM checkpoint").fetchall())
    if verdict != "ok":
        yield Finding("projections", "fault", f"damaged: {verdict}; delete the file, it is derived")
        return
    missing = [projection.name for projection in PROJECTIONS if projection.name not in behind]
    if missing:
        told = f"the next start folds {', '.join(missing)} from the log"
        yield Finding("projections", "warning", told)
    else:
        yield Finding("projections", "ok", f"up to position {min(behind.values()):,}")


def _digests(settings: Settings) -> Iterator[Finding]:
    """Fold the log once more, in memory, up to where the file stands, and compare."""
    if not _projections_path(settings).exists():
        yield Finding("digests", "warning", "there are no projections to compare yet")
        return
    with closing(open_projections(_projections_path(settings))) as db:
        db.execute("BEGIN")  # rows and checkpoint of one moment
        standing = {position for (position,) in db.execute("SELECT position FROM checkpoint")}
        live = {each.name: digest(db, each.name) for each in PROJECTIONS}
    if len(standing) != 1:
        yield Finding("digests", "warning", "the projections are being folded; ask again later")
        return
    [until] = standing
    with closing(LogReader(settings.data)) as log, folded(log, PROJECTIONS, until) as store:
        rebuilt = store.digests()
    if wrong := [name for name, digest_ in live.items() if digest_ != rebuilt[name]]:
        told = f"not what the log gives: {', '.join(wrong)}; `malote rebuild` mends them"
        yield Finding("digests", "fault", told)
    else:
        yield Finding("digests", "ok", f"equal to a fold of all {until:,} events")


def _silence(settings: Settings) -> Iterator[Finding]:
    if not _projections_path(settings).exists():
        return
    now_us = wall_clock_us()
    with closing(open_projections(_projections_path(settings))) as db:
        rows = fetch(db, list_inbox_hours(first_hour(now_us))).rows
    for silence in silences(rows, now_us):
        since = time_text(silence.newest_at)
        if silence.alarming:
            told = f"{silence.inbox} should have had {silence.expected:,.0f} messages since {since}"
            yield Finding("silence", "warning", f"{told} and had none: ask its provider")
        else:
            yield Finding("silence", "ok", f"{silence.inbox}: the newest message is of {since}")


def _port(settings: Settings) -> Iterator[Finding]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    where = f"{settings.host}:{settings.port}"
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as taken:
            ours = settings.data.is_dir() and runs(settings.data)
            verdict: Verdict = "ok" if ours else "fault"
            told = f"{where} is its own" if ours else f"{where}: {taken.strerror}"
            yield Finding("port", verdict, told)
        else:
            yield Finding("port", "ok", f"{where} is free")


def _exposure(settings: Settings) -> Iterator[Finding]:
    url = settings.base_url
    if is_loopback_url(url):
        yield Finding("exposure", "ok", "on this machine only; no provider reaches it")
    elif not url.startswith("https://"):
        told = f"{url} is not https: tokens and messages travel in the clear"
        yield Finding("exposure", "fault", told)
    else:
        yield Finding("exposure", "ok", f"reached at {url}")


CHECKS: tuple[tuple[str, Check], ...] = (
    ("folder", _folder),
    ("file system", _file_system),
    ("space", _space),
    ("sqlite", _sqlite),
    ("server", _server),
    ("clock", _clock),
    ("chain", _chain),
    ("keyring", _keyring),
    ("projections", _projections),
    ("silence", _silence),
    ("port", _port),
    ("exposure", _exposure),
)
