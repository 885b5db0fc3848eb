"""What the user did wrong, as one line."""

import difflib


class UsageError(Exception):
    """The arguments or the data cannot be used; the message is for the user."""


def unknown_name(kind, name, known):
    """Return the error about a name that is not known, with the nearest known ones.

    Parameters
    ----------
    kind : str
        What the name should have named, such as "estimator".
    name : str
        The name.
    known : iterable of str
        The names there are.

    Returns
    -------
    error : UsageError
        The error to raise.
    """
    near = difflib.get_close_matches(name.lower(), known, n=2, cutoff=0.5)
    advice = f"Did you mean {' or '.join(near)}?" if near else "See --list."
    return UsageError(f"unknown {kind} {name!r}. {advice}")
