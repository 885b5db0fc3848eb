"""Published data sets: found or downloaded, verified, read."""

import difflib
import os
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from sklearn.utils import Bunch

from skmil.bags import Bags
from skmil.datasets import readers
from skmil.datasets._catalogue import COUNTS, load_catalogue
from skmil.datasets._description import describe
from skmil.datasets._download import DownloadError, download_file
from skmil.datasets._verification import find_file
from skmil.datasets.readers import DataFileError
from skmil.datasets.readers._folds import read_folds_csv

#: The environment variable that names the folder of data sets.
_VARIABLE = "SKMIL_DATA"
#: The file of published folds in the folder of a data set, if the user has put one there.
_FOLDS = "folds_5x10.csv"


def get_data_home(data_home=None):
    """Return the folder in which data sets are looked for and to which they are downloaded.

    It need not exist: the first download creates it.

    Parameters
    ----------
    data_home : str or path-like, default=None
        The folder. None for the one that the environment variable ``SKMIL_DATA`` names, or
        ``~/skmil_data`` if there is no such variable. ``~`` stands for the home folder.

    Returns
    -------
    data_home : Path
        The folder.

    Examples
    --------
    >>> from skmil.datasets import get_data_home
    >>> get_data_home("~/data").name
    'data'
    """
    if data_home is None:
        data_home = os.environ.get(_VARIABLE) or Path("~", "skmil_data")
    return Path(data_home).expanduser()


def list_datasets():
    """Return the names of the data sets that :func:`~skmil.datasets.fetch_dataset` knows.

    Returns
    -------
    names : list of str
        The names.

    Examples
    --------
    >>> from skmil.datasets import list_datasets
    >>> list_datasets()[:5]
    ['musk1', 'musk2', 'fox', 'tiger', 'elephant']
    """
    return list(load_catalogue().entries)


def fetch_dataset(
    name,
    *,
    data_home=None,
    download_if_missing=True,
    return_X_y=False,
    as_frame=False,
    progress=None,
):
    """Load a published data set; it is downloaded where it is not at hand.

    The files come from where they were published, at a fixed version. Size and hash of a file
    are checked every time before it is read, so what is loaded is always the same. See the
    :ref:`user guide <datasets>` for the data sets there are, and for use without a network.

    Parameters
    ----------
    name : str
        The data set; :func:`~skmil.datasets.list_datasets` has the names.
    data_home : str or path-like, default=None
        The folder of data sets, see :func:`~skmil.datasets.get_data_home`. A file is looked
        for in the sub-folder with the name of the data set and in the folder itself,
        compressed with gzip or not; it is downloaded to the sub-folder.
    download_if_missing : bool, default=True
        Download what is not there, which needs the extra ``skmil[data]``. If false, a missing
        file is an error.
    return_X_y : bool, default=False
        Return ``(bags, target)`` instead of a `Bunch`.
    as_frame : bool, default=False
        Return `target` as a Series of pandas, and all data as a long table in `frame`.
    progress : bool, default=None
        Show the progress of a download on standard error. None shows it if that is a
        terminal.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        bags : Bags of shape (n_bags,)
            The bags, dense or sparse, with the values of the file.
        target : ndarray of int64 or Series of shape (n_bags,)
            0 or 1 for each bag.
        target_names : ndarray of str of shape (2,)
            What the classes 0 and 1 are.
        feature_names : list of str of length n_features
            Names of the features, ``f1``, ``f2`` and so on where the file has none.
        instance_labels : ndarray of int64 of shape (n_instances,) or None
            0 or 1 for each instance, where such labels are genuine, and otherwise None.
        bag_ids : ndarray of shape (n_bags,) or None
            What the file calls each bag.
        folds : ndarray of int64 of shape (n_repeats, n_bags) or None
            In which fold each bag is tested, for each repeat, from the file
            ``folds_5x10.csv`` in the sub-folder of the data set; None if there is no such
            file. It is not downloaded.
        split : ndarray of int64 of shape (n_bags,)
            0 for a bag of the published training set, 1 for one of the test set. Only for
            data sets that come with such a split.
        frame : DataFrame of shape (n_instances, 2 + n_features)
            The columns ``bag`` and ``label`` and the features, a row for each instance, as
            :meth:`Bags.from_frame <skmil.Bags.from_frame>` takes it, dense even where the
            bags are sparse. Only if `as_frame` is true.
        DESCR : str
            Description of the data, with counts, licence, source and citations.
    (bags, target) : tuple
        The first two of these, if `return_X_y` is true.

    Raises
    ------
    ValueError
        If there is no data set of that name.
    DataFileError
        If a file in the folder is not the published one and must not be downloaded again.
    FileNotFoundError
        If a file is missing and must not be downloaded.
    DownloadError
        If the download fails.
    ImportError
        If a package is missing that the download or `as_frame` needs.

    See Also
    --------
    load_digit_bags : Bags of real images that need no download.

    Examples
    --------
    This downloads a file, unless it is there already:

    >>> from skmil.datasets import fetch_dataset
    >>> data = fetch_dataset("musk1")  # doctest: +SKIP
    >>> data.bags  # doctest: +SKIP
    Bags(92 bags, 476 instances, 166 features, float64)
    """
    catalogue = load_catalogue()
    entry = _find_entry(name, catalogue.entries)
    home = get_data_home(data_home)
    paths = _find_files(entry, home, catalogue.mirrors, download_if_missing, progress)
    data = _read(entry, paths)
    data.folds = _read_folds(home / entry.name / _FOLDS, data.bags.n_bags)
    if as_frame:
        data.frame, data.target = _to_frame(data)
    if return_X_y:
        return data.bags, data.target
    return data


def _find_entry(name, entries):
    if name not in entries:
        near = difflib.get_close_matches(str(name).lower(), entries, n=3, cutoff=0.5)
        advice = f"Did you mean {' or '.join(near)}?" if near else "See list_datasets()."
        raise ValueError(f"There is no data set {name!r}. {advice}")
    return entries[name]


def _find_files(entry, home, mirrors, download_if_missing, progress):
    """Return the paths of all files of a data set, each of them verified."""
    found = {file: find_file(file, entry.name, home) for file in entry.files}
    missing = [file for file, (path, _) in found.items() if path is None]
    if missing and not download_if_missing:
        problems = [problem for file in missing for problem in found[file][1]]
        raise _not_there(entry, home / entry.name, missing, problems, mirrors)
    paths = []
    for file, (path, problems) in found.items():
        target = path or home / entry.name / file.name
        if path is None:
            try:
                download_file(file, target, mirrors, progress=progress)
            except DownloadError as error:
                raise DownloadError("\n".join([*map(str, problems), str(error)])) from error
        paths.append(target)
    return paths


def _not_there(entry, folder, missing, problems, mirrors):
    """Return the error about files that are missing or are something else."""
    wanted = "; ".join(f"{file} from {file.address(mirrors[0])}" for file in missing)
    advice = f"Put into {folder}: {wanted}. Or let it be downloaded, with download_if_missing=True."
    if not problems:
        return FileNotFoundError(f"The data set {entry.name!r} is not there. {advice}")
    others = "".join(f" Likewise {problem}" for problem in problems[1:])
    return DataFileError(problems[0].path, f"{problems[0].problem}{others} {advice}")


def _read(entry, paths):
    """Read files that have been verified, and check what the catalogue says of them."""
    read = getattr(readers, f"read_{entry.reader}")
    data = read(paths[0] if len(paths) == 1 else paths, **entry.options)
    bags = data.bags
    if entry.sparse and not sp.issparse(bags.instances):
        bags = Bags(sp.csr_matrix(bags.instances), bags.offsets)
    target = (data.target == entry.positive).astype(np.int64)
    instance_labels = data.instance_labels if entry.genuine_instance_labels else None
    if instance_labels is not None:
        instance_labels = instance_labels.astype(np.int64)
    _check_counts(entry, bags, target, paths[0])
    result = Bunch(
        bags=bags,
        target=target,
        target_names=np.array(entry.target_names),
        feature_names=data.feature_names or [f"f{i + 1}" for i in range(bags.n_features)],
        instance_labels=instance_labels,
        bag_ids=data.bag_ids,
        folds=None,
        DESCR=describe(entry, bags, target),
    )
    if entry.n_train is not None:
        result.split = (np.arange(bags.n_bags) >= entry.n_train).astype(np.int64)
    return result


def _check_counts(entry, bags, target, path):
    counts = {
        "n_bags": bags.n_bags,
        "n_positive": int(target.sum()),
        "n_instances": bags.n_instances,
        "n_features": bags.n_features,
    }
    for name in COUNTS:
        expected = getattr(entry, name)
        if expected not in (None, counts[name]):
            raise DataFileError(path, f"{name} is {counts[name]}, not {expected}.")


def _read_folds(path, n_bags):
    return read_folds_csv(path, n_bags) if path.exists() else None


def _to_frame(data):
    """Return all data as a long table, and the target as a Series with the bags as its index."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "as_frame=True needs pandas, which is not installed. "
            "Install it with: pip install skmil[data]"
        ) from error
    bags = data.bags
    bag_ids = np.arange(bags.n_bags) if data.bag_ids is None else data.bag_ids
    roles = pd.DataFrame(
        {"bag": bag_ids[bags.bag_index], "label": data.target[bags.bag_index]}, copy=False
    )
    if sp.issparse(bags.instances):
        features = pd.DataFrame.sparse.from_spmatrix(bags.instances, columns=data.feature_names)
    else:
        features = pd.DataFrame(bags.instances, columns=data.feature_names)
    target = pd.Series(data.target, index=pd.Index(bag_ids, name="bag"), name="label")
    return pd.concat([roles, features], axis=1), target
