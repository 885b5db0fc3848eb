"""A progress bar over files."""

import sys


def progress(items, title, verbose):
    """Iterate over a list and, if wanted, show how far that is, on standard error.

    Parameters
    ----------
    items : list
        What to iterate over.
    title : str
        What stands before the bar.
    verbose : int
        Whether to show it: not if 0.

    Returns
    -------
    items : iterable
        The same items.
    """
    if not verbose:
        return items
    from tqdm import tqdm

    return tqdm(
        items,
        desc=title,
        bar_format="{desc} {n_fmt}/{total_fmt} |{bar:10}| {elapsed}<{remaining}",
        file=sys.stderr,
    )
