"""The command `flux-local`, also `python -m app`."""

import codecs
import contextlib
import io
import os
import signal
import sys

CANCELLED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        # Asked to stop by the system is the same as Ctrl-C: the run closes and leaves nothing half-written. So is a
        # terminal that is closed, unless the command was started to outlive it (nohup).
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, signal.default_int_handler)
        _open_streams()
        from app.cli.group import cli  # absolute: the frozen app runs this file as a script

        cli(prog_name="flux-local")
    except KeyboardInterrupt:  # while Python was still starting
        sys.exit(CANCELLED)
    except OSError as error:  # --help on a full disk; errors of commands have their message already
        sys.exit(_tell(error))
    except SystemExit as end:  # click's 1: Ctrl-C or no answer at a question, or nobody reads the output any more
        sys.exit(CANCELLED if end.code == 1 else end.code)


def _tell(error: OSError) -> int:
    """The exit code of an error outside of any command."""
    from app.base import faults

    told = faults.tell(error)
    if told is None:
        raise error
    with contextlib.suppress(OSError):  # nor can stderr
        print(f"Error: {told}", file=sys.stderr)
    return told.exit_code


def _open_streams() -> None:
    """A stream that was closed leads nowhere, or the first file opened would get its number and what is printed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    # A name that the terminal can't show must not end a run: in UTF-8 its bytes go out as they are on the disk.
    utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
    if isinstance(sys.stdout, io.TextIOWrapper):  # always, but for a test that listens
        sys.stdout.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")


if __name__ == "__main__":
    main()
