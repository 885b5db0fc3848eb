"""Folders with one file for each bag, as programs write them that compute features of slides."""

from functools import reduce
from itertools import pairwise
from pathlib import Path

import numpy as np

from skmil.bags import Bags
from skmil.bags._errors import DataFileError
from skmil.bags._storage import Header, Part, is_saved, refuse_existing, write_parts
from skmil.datasets._progress import progress
from skmil.datasets.readers._feature_files import SUFFIXES, declared_by, read_blocks
from skmil.datasets.readers._folder_labels import SUBFOLDERS, labels_of
from skmil.datasets.readers._hdf5 import spell
from skmil.datasets.readers._result import read_result
from skmil.datasets.readers._saved import read_saved
from skmil.datasets.readers._stored_files import stored_rows


def read_folder(
    folder,
    *,
    labels=None,
    key=None,
    positions_key="coords",
    pattern=None,
    id_column=None,
    label_column="label",
    dtype=None,
    lazy=False,
    save_to=None,
    overwrite=False,
    verbose=0,
):
    """Read a folder with one file for each bag, such as the features of one slide each.

    The files are HDF5 (``.h5``, ``.hdf5``), ``.npy`` or ``.npz`` files, each with an array of
    shape (n_instances, n_features) or (1, n_instances, n_features). HDF5 files as CLAM [1]_,
    TRIDENT [2]_ and STAMP [3]_ write them need no options: the instances are the dataset
    ``features`` or ``feats``, their positions the dataset ``coords``.

    All files are checked before the first value is read. By default the instances then go into
    one array in memory. Where that is too large, there are two ways: with `lazy` the instances
    stay in their files, and are read whenever they are needed; `save_to` packs them into a
    folder on the disk, one bag at a time, and returns bags that are mapped into memory.

    Parameters
    ----------
    folder : str or path-like
        The folder.
    labels : mapping, Series, path, "subfolders" or None, default=None
        The labels of the bags: a dict or Series from the name of a bag, or of its file, to the
        label; the path of a CSV file, compressed with gzip or not, with such names in one column
        and labels in another, which are read as by :func:`read_table`; or
        ``"subfolders"`` if each file lies in a folder that is named after its label. Names
        without a file are ignored, files without a label refused. None for no labels.
    key : str, default=None
        The array of a file that holds the instances. By default it is ``features``, ``feats``
        or ``embeddings``, or else the only one.
    positions_key : str or None, default="coords"
        The array of shape (n_instances, 2) that holds the positions of the instances, if there
        is one of that name. None to read no positions.
    pattern : str, default=None
        Which files to read, as in ``pathlib.Path.glob``, for example ``"TCGA-*.h5"``. By
        default, all with one of the suffixes, in the folder itself or, with
        ``labels="subfolders"``, in the folders in it. Names that begin with a dot are left out.
    id_column : str, default=None
        The column of a CSV file that names the bag. By default the first there is of
        ``slide_id``, ``bag_id``, ``bag``, ``slide``, ``file`` and ``filename``.
    label_column : str, default="label"
        The column of a CSV file with the label.
    dtype : {numpy.float32, numpy.float64}, default=None
        The type of the instances. By default float64 and float32 stay what they are, float16
        becomes float32, and other types become float64.
    lazy : bool, default=False
        Whether to leave the instances in their files. Each is opened again for every read, and
        must not change while the bags are in use. No value is looked at before it is needed:
        it is :func:`skmil.check_bags`, in ``fit`` and ``predict``, that finds those that are not
        finite. Positions are read at once.
    save_to : str or path-like, default=None
        A folder to create, in which the bags are saved as by :meth:`skmil.Bags.save`. Later,
        :func:`read_saved` opens it at once.
    overwrite : bool, default=False
        Whether to replace saved bags in `save_to`.
    verbose : int, default=0
        If positive, show a progress bar.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        bags : Bags of shape (n_bags,)
            The bags, in the order of their names.
        target : ndarray of shape (n_bags,) or None
            The labels, not encoded.
        bag_ids : ndarray of str of shape (n_bags,)
            The names of the files, without folder and suffix.
        positions : ndarray of shape (n_instances, 2) or None
            The positions of the instances, in the type in which they are stored.
        instance_ids, instance_labels, feature_names, folds : None
            Not part of this format.

    Raises
    ------
    DataFileError
        If there is no file, two files have the same name, or a file is damaged, empty, without
        a label or of another width than the first.
    FileExistsError
        If `save_to` exists.
    ValueError
        If `lazy` is set together with `save_to`.
    ImportError
        If h5py is not installed.
    OSError
        If a file cannot be opened.

    See Also
    --------
    read_saved : Open what `save_to` wrote.

    Notes
    -----
    Nothing is read from outside a file: links, external and virtual datasets are refused. So
    are ``.pt`` files, which are pickles and could run any code; CLAM writes ``.h5`` files with
    the same content beside them.

    Every float16 is a float32, so by default nothing is lost, and no estimator has to convert
    the instances, which would copy them all. The packed folder takes twice the space of the
    files; with `lazy`, float16 becomes float32 whenever it is read.

    References
    ----------
    .. [1] M. Y. Lu et al., "Data-efficient and weakly supervised computational pathology on
       whole-slide images", Nature Biomedical Engineering 5, 555-570, 2021.
       :doi:`10.1038/s41551-020-00682-w`
    .. [2] A. Zhang et al., "Accelerating Data Processing and Benchmarking of AI Models for
       Pathology", 2025. :arxiv:`2502.06750`
    .. [3] O. S. M. El Nahhas et al., "From whole-slide image to biomarker prediction: end-to-end
       weakly supervised deep learning in computational pathology", Nature Protocols 20,
       293-316, 2025. :doi:`10.1038/s41596-024-01047-2`

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skmil.datasets import read_folder
    >>> folder = Path(tempfile.mkdtemp())
    >>> np.save(folder / "slide1.npy", np.ones((3, 4), dtype=np.float16))
    >>> np.save(folder / "slide2.npy", np.zeros((2, 4), dtype=np.float16))
    >>> data = read_folder(folder, labels={"slide1": "tumour", "slide2": "normal"})
    >>> data.bags
    Bags(2 bags, 5 instances, 4 features, float32)
    >>> data.bag_ids.tolist(), data.target.tolist()
    (['slide1', 'slide2'], ['tumour', 'normal'])
    """
    folder = Path(folder)
    if lazy and save_to is not None:
        raise ValueError("save_to packs the files, lazy leaves them as they are: choose one.")
    if save_to is not None:
        refuse_existing(save_to, overwrite)
    paths = _find_files(folder, pattern, labels)
    target = labels_of(paths, folder, labels, id_column, label_column)
    files = [declared_by(path, key, positions_key) for path in progress(paths, "Check", verbose)]
    _check_alike(files)
    dtype = _common_dtype(files, dtype)
    bag_ids = np.array([path.stem for path in paths])
    instances = _part(files, False, dtype, verbose)
    positions = None
    if files[0].positions_key is not None:
        positions_dtype = reduce(np.promote_types, [file.positions_dtype for file in files])
        positions = _part(files, True, positions_dtype.newbyteorder("="), 0)
    offsets = np.cumsum([0, *(file.n_instances for file in files)])
    if save_to is None:
        bags = Bags(stored_rows(files, dtype) if lazy else _fill(instances), offsets)
        found = None if positions is None else _fill(positions)
        return read_result(bags, target, bag_ids=bag_ids, positions=found)
    _pack(save_to, offsets, instances, positions, target, bag_ids, overwrite)
    data = read_saved(save_to)
    data.setdefault("positions", None)
    return data


def is_feature_folder(folder):
    """Return whether a folder, or one in it, holds files that :func:`read_folder` reads."""
    return any(
        path.suffix.lower() in SUFFIXES
        for pattern in ("*", "*/*")
        for path in Path(folder).glob(pattern)
    )


def _find_files(folder, pattern, labels):
    """Return the files in the order of the names of the bags, which must differ."""
    nested = isinstance(labels, str) and labels == SUBFOLDERS
    if is_saved(folder):
        raise DataFileError(folder, "it holds saved bags, which read_saved opens.")
    names = sorted(path.name for path in folder.iterdir())  # an error if there is no folder
    paths = list(folder.glob(pattern or ("*/*" if nested else "*")))
    paths = [path for path in paths if path.is_file() and not path.name.startswith(".")]
    if pattern is None:
        paths = [path for path in paths if path.suffix.lower() in SUFFIXES]
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            raise DataFileError(path, f"only {', '.join(SUFFIXES)} files are read.")
        if nested and len(path.relative_to(folder).parts) < 2:
            raise DataFileError(path, "it lies in no sub-folder that could name its label.")
    if not paths:
        raise DataFileError(
            folder,
            f"no {', '.join(SUFFIXES)} file {'in a sub-folder ' if nested else ''}"
            f"{'' if pattern is None else f'that fits {pattern!r} '}to read; {spell(names)}."
            f"{_hint(folder, names)}",
        )
    paths.sort(key=lambda path: (path.stem, path))
    for first, second in pairwise(paths):
        if first.stem == second.stem:
            raise DataFileError(
                second, f"{first} is named alike: a bag has one file. Choose them with pattern."
            )
    return paths


def _hint(folder, names):
    """Say what may have been meant by a folder without a file to read."""
    if any(name.endswith(".pt") for name in names):
        return " Files of torch (.pt) are pickles, which could run any code, and are not read."
    if any(path.suffix.lower() in SUFFIXES for path in folder.glob("*/*")):
        return (
            " There are some in sub-folders: if these are named after labels, "
            f"pass labels={SUBFOLDERS!r}."
        )
    return ""


def _check_alike(files):
    first = files[0]
    for file in files:
        if file.n_features != first.n_features:
            raise DataFileError(
                file.path,
                f"{file.n_features} features, but {first.path.name} has {first.n_features}. All "
                "bags must have the same features.",
            )
        if (file.positions_key is None) != (first.positions_key is None):
            with_positions, without = (first, file) if first.positions_key else (file, first)
            raise DataFileError(
                without.path,
                f"no positions {with_positions.positions_key!r}, but {with_positions.path.name} "
                "has some. With positions_key=None they are not read.",
            )


def _common_dtype(files, dtype):
    if dtype is not None:
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise ValueError(f"dtype must be numpy.float32 or numpy.float64, got {dtype!r}.")
        return np.dtype(dtype)
    narrow = all(file.dtype.kind == "f" and file.dtype.itemsize <= 4 for file in files)
    return np.dtype(np.float32 if narrow else np.float64)


def _part(files, of_positions, dtype, verbose):
    """Return the array of all bags, one after the other, to be read when it is written."""

    def blocks():
        for file in progress(files, "Read", verbose):
            yield from read_blocks(file, of_positions, dtype)

    n_columns = 2 if of_positions else files[0].n_features
    return Part((sum(file.n_instances for file in files), n_columns), dtype, blocks())


def _fill(part):
    array = np.empty(part.shape, part.dtype)
    start = 0
    for block in part.blocks:
        array[start : start + len(block)] = block
        start += len(block)
    return array


def _pack(folder, offsets, instances, positions, target, bag_ids, overwrite):
    further = {"bag_ids": Part(bag_ids.shape, bag_ids.dtype, [bag_ids])}
    if target is not None:
        further["target"] = Part(target.shape, target.dtype, [target])
    if positions is not None:
        further["positions"] = positions
    offsets = offsets.astype(np.int64, copy=False)
    header = Header(
        kind="dense",
        dtype=instances.dtype.str,
        n_bags=len(offsets) - 1,
        n_instances=instances.shape[0],
        n_features=instances.shape[1],
        feature_names=None,
        arrays=[],
    )
    parts = {"instances": instances, "offsets": Part(offsets.shape, offsets.dtype, [offsets])}
    write_parts(folder, header, parts, further, overwrite)
