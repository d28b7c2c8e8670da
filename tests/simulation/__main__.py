"""``python -m tests.simulation SEED``: one seed again, with its trace."""

from __future__ import annotations

import sys

from tests.simulation.run import simulate


def main() -> int:
    """Replay; 1 if something was wrong."""
    outcome = simulate(int(sys.argv[1]))
    for line in outcome.trace:
        print(line)
    for what in outcome.wrong:
        print("WRONG:", what)
    print(f"seed {outcome.seed}: {len(outcome.wrong)} wrong in {outcome.virtual_s:.0f} virtual s")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
