"""How many histories Hypothesis' state machines live through, and how they are shared out.

``MALOTE_EXAMPLES`` lowers or raises how many, for each machine, of up to 50 steps each.
"""

from __future__ import annotations

import os

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine

EXAMPLES = int(os.environ.get("MALOTE_EXAMPLES", "1500"))
SHARDS = 5


def sharded(machine: type[RuleBasedStateMachine]) -> dict[str, type]:
    """The machine's tests by name, for a module's globals: several, to run beside each other."""
    tests: dict[str, type] = {}
    for shard in range(SHARDS):
        part = type(f"{machine.__name__}{shard}", (machine,), {"__doc__": machine.__doc__})
        part.TestCase.settings = settings(
            max_examples=max(1, EXAMPLES // SHARDS), stateful_step_count=50, deadline=None
        )
        tests[f"Test{part.__name__}"] = part.TestCase
    return tests
