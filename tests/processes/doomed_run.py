"""A whole supervisor with a broker and difficult children, to be killed at any moment.

python -m tests.processes.doomed_run RUN_DIR TOKEN
"""

from __future__ import annotations

import sys

from daemoneye.supervisor.spec import ChildSpec
from daemoneye.supervisor.supervisor import Supervisor
from tests.processes.difficult import KINDS, HeldTrap, Trap, trapped
from tests.supervisor.targets import serve


def main(run_dir: str, token: int) -> None:
    """Run it."""
    plan = [ChildSpec("member", serve)]
    plan += [
        ChildSpec(name, target, args=(token,), uses_bus=False) for name, target in KINDS.items()
    ]
    plan += [
        ChildSpec("trapped", trapped, args=(token, Trap()), uses_bus=False),
        ChildSpec("held", trapped, args=(token, HeldTrap()), uses_bus=False),
    ]
    sys.exit(Supervisor(plan, run_dir=run_dir).run())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
