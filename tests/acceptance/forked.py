"""Servers that are forked from a process which has imported all they need.

To start an interpreter and import takes ten times as long as what a server does until it listens.
For tests that start one after the other: that a shell can start one, many others show. Each is a
process of its own all the same, with its own descriptors, environment and end.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from typing import BinaryIO

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["api.commands.serve"])


def _run(words: Sequence[str], environment: Mapping[str, str], output: Connection) -> None:
    """In the new process: what the command line does with these words."""
    from api.commands import main

    os.environ.clear()
    os.environ.update(environment)
    for stream in (1, 2):
        os.dup2(output.fileno(), stream)
    output.close()
    main(words)


class Forked:
    """As much of :class:`subprocess.Popen` as a test's server needs."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        reader, writer = _FORKING.Pipe(duplex=False)
        self._process = _FORKING.Process(
            target=_run, args=(list(words), dict(environment), writer), daemon=True
        )
        self._process.start()
        writer.close()
        self.stdout: BinaryIO = os.fdopen(os.dup(reader.fileno()), "rb")
        reader.close()

    def send_signal(self, number: signal.Signals) -> None:
        """As from any other process."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def poll(self) -> int | None:
        """Its exit code, or the signal that ended it with a minus; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """The same, once it has ended; raises subprocess.TimeoutExpired."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(sys.argv, timeout)
        return code
