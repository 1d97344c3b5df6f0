"""A supervisor that owns its process, with the children named on the command line.

python -m tests.processes.owned_run RUN_DIR KIND…
"""

from __future__ import annotations

import sys

from daemoneye.supervisor.spec import ChildSpec
from daemoneye.supervisor.supervisor import Supervisor
from tests.processes.test_lifecycle import QUICK
from tests.supervisor import targets

KINDS = {
    "serve": ChildSpec("serve", targets.serve, uses_bus=False),
    "slow": ChildSpec("slow", targets.stop_slowly, args=(600,), uses_bus=False),
    "never_ready": ChildSpec("never_ready", targets.never_ready, uses_bus=False),
    "quick": ChildSpec("quick", targets.serve, uses_bus=False, timeouts=QUICK),
    "escaping": ChildSpec(
        "escaping", targets.leave_somebody_behind, args=({"PATH": "/usr/bin:/bin"},), uses_bus=False
    ),
}


def main(run_dir: str, *kinds: str) -> None:
    """Run it."""
    sys.exit(Supervisor([KINDS[kind] for kind in kinds], run_dir=run_dir).run())


if __name__ == "__main__":
    main(*sys.argv[1:])
