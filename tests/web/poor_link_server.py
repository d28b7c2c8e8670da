"""The server with a heartbeat every half second, so that a poor link shows in a test's time."""

from __future__ import annotations

from api.commands import main
from transport import heartbeat

heartbeat.INTERVAL_S = 0.5

if __name__ == "__main__":
    main()
