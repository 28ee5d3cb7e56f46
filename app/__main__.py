"""The command `flux-local`, also `python -m app`."""

import signal
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    # Asked to stop by the system is the same as Ctrl-C: the run closes and leaves nothing half-written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    from app.cli.group import cli  # absolute: the frozen app runs this file as a script

    try:
        cli(prog_name="flux-local")
    except KeyboardInterrupt:  # while Python was still starting
        sys.exit(130)


if __name__ == "__main__":
    main()
