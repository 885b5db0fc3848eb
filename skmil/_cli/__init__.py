"""The command line: cross-validate estimators on a data set, print a table."""

import os
import sys

from skmil._cli._errors import UsageError


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, default=None
        The arguments, without the name of the program; None takes those of the process.

    Returns
    -------
    code : int
        0 if all went well, 1 if an estimator failed, 2 if an argument or the data cannot
        be used, 130 if interrupted.
    """
    try:
        # Imported here, so that --help is quick and an interruption is caught at any time.
        from skmil._cli._run import run

        return run(argv)
    except UsageError as error:
        one_line = " ".join(str(error).split())
        sys.stderr.write(f"skmil: error: {one_line}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("skmil: interrupted\n")
        return 130
    except BrokenPipeError:
        # Whoever read the output, `head` for example, has seen enough. Python flushes
        # standard output once more when it exits, which must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
