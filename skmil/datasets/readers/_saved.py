"""Folders that `Bags.save` wrote, with everything that was saved along with the bags."""

from skmil.bags import Bags
from skmil.bags._storage import load_saved
from skmil.datasets.readers._result import read_result


def read_saved(folder, *, mmap_mode="r"):
    """Read bags that :meth:`skmil.Bags.save` wrote, with their labels.

    The instances are mapped into memory, not read; see :meth:`skmil.Bags.load`.

    Parameters
    ----------
    folder : str or path-like
        The folder.
    mmap_mode : {"r", "c"} or None, default="r"
        ``"r"`` maps the instances, which cannot be changed; with ``"c"`` they can, but
        changes stay in memory; None reads everything into memory at once. Further arrays with
        a row for each instance are treated alike, those with a row for each bag are read.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        bags : Bags of shape (n_bags,)
            The bags, of the type they were saved with.
        target, bag_ids, instance_ids, instance_labels, folds : ndarray or None
            As saved, or None.
        feature_names : list of str or None
            The names of the columns.

        and every other array that was saved, under its name.

    Raises
    ------
    DataFileError
        If a file is damaged, or does not fit the others.
    OSError
        If the folder or a file cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skmil.datasets import make_bags, read_saved
    >>> folder = Path(tempfile.mkdtemp()) / "drawn"
    >>> bags, y = make_bags(random_state=0, return_X_y=True)
    >>> bags.save(folder, target=y)
    >>> data = read_saved(folder)
    >>> data.bags, data.target[:5]
    (Bags(100 bags, 996 instances, 20 features, float64, on disk), array([1, 0, 1, 0, 0]))
    """
    (instances, offsets, names), arrays = load_saved(folder, mmap_mode)
    bags = Bags(instances, offsets, feature_names=names)
    return read_result(bags, arrays.pop("target", None), **arrays)
