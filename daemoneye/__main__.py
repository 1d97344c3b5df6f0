"""The entry point of `daemoneye` and `python -m daemoneye`.

Nothing is imported at module level: every spawned child runs this module again before its own work.
"""


def main() -> int:
    """Run the command line on the arguments of this process; the result is its exit code."""
    try:
        from daemoneye.cli.main import main as command_line  # children must not pay for it
    except KeyboardInterrupt:  # the imports take longer than an impatient finger
        return 130
    return command_line()


if __name__ == "__main__":
    raise SystemExit(main())
