"""Arrays in HDF5 files, with everything checked before a value is read.

A dataset is read only if its values lie in the file itself, in chunks that are all there, and
went through filters that come with h5py.
"""

import math
from contextlib import contextmanager

from skmil.bags._errors import DataFileError, errors_name, open_ordinary

#: What h5py raises for a damaged file, besides ValueError and TypeError.
_DAMAGE = (ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError)
#: Filters that come with HDF5 or h5py and never run code from elsewhere: deflate, shuffle,
#: fletcher32, szip, nbit, scaleoffset, lzf.
_FILTERS = (1, 2, 3, 4, 5, 6, 32000)
#: More than this many bytes never come out of one compressed byte.
_MOST_EXPANSION = 1100
#: Chunks up to this many bytes may be larger than the dataset in them.
_LARGE_CHUNK = 1 << 24
#: How many names an error lists.
_MOST_NAMES = 10


@contextmanager
def open_hdf5(path):
    """Open a file for reading; whatever is wrong with it becomes a `DataFileError`.

    Parameters
    ----------
    path : Path
        The file.

    Yields
    ------
    file : h5py.File
        The open file.
    """
    try:
        import h5py
    except ImportError as error:
        raise ImportError(
            f"{path}: reading HDF5 files needs h5py, which is not installed. "
            "Install it with: pip install skmil[data]"
        ) from error
    with open_ordinary(path):  # a file that cannot be opened is another matter
        pass
    with errors_name(path, caught=_DAMAGE), h5py.File(path, "r", locking="best-effort") as file:
        yield file


def names_in(file):
    """Return the names in the root of a file, those of groups with a slash at the end."""
    import h5py

    names = []
    for name in file:
        kind = file.get(name, getclass=True, getlink=True)
        is_group = kind is h5py.HardLink and isinstance(file[name], h5py.Group)
        names.append(f"{name}/" if is_group else name)
    return names


def find_dataset(file, path, name):
    """Return a dataset after all checks.

    Parameters
    ----------
    file : h5py.File
        The open file.
    path : Path
        Its path, for errors.
    name : str
        The name of the dataset, with slashes if it is in a group.

    Returns
    -------
    dataset : h5py.Dataset
        A dataset of numbers, all of which are in the file.

    Raises
    ------
    DataFileError
        If there is no such dataset, or it cannot be trusted.
    """
    import h5py

    node = file
    for step in name.strip("/").split("/"):
        if not isinstance(node, h5py.Group) or step not in node:
            raise DataFileError(path, f"there is no dataset {name!r}; {spell(names_in(file))}.")
        # A link leads to another place, possibly in another file.
        if node.get(step, getclass=True, getlink=True) is not h5py.HardLink:
            raise DataFileError(path, "it is a link, which is not followed.", f"dataset {name!r}")
        node = node[step]
    with errors_name(path, f"dataset {name!r}", caught=_DAMAGE):
        if not isinstance(node, h5py.Dataset):
            raise ValueError(f"it is a group; name a dataset in it: {name}/...")
        _check_storage(node, path.stat().st_size)
    return node


def read_dataset(dataset, path):
    """Return the values of a dataset that `find_dataset` returned."""
    with errors_name(path, f"dataset {dataset.name.strip('/')!r}", caught=_DAMAGE):
        return dataset[...]


def read_dataset_rows(dataset, path, shape, dtype, first, last):
    """Return rows of a dataset, a table that may stand under an axis of length one.

    The dataset is looked up without checks, so what it declares has to be what was checked:
    `shape`, but for that axis, and `dtype`. Else memory for any size would be asked for.
    """
    with errors_name(path, f"dataset {dataset.name.strip('/')!r}", caught=_DAMAGE):
        if dataset.shape not in (shape, (1, *shape)) or dataset.dtype != dtype:
            raise ValueError("it has changed while it was read.")
        return dataset[first:last] if len(dataset.shape) == 2 else dataset[0, first:last]


def spell(names):
    """Return a list of names in words, the first few of them."""
    if not names:
        return "there is nothing"
    shown = ", ".join(repr(name) for name in names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"there are {shown}{more}"


def _check_storage(dataset, n_file_bytes):
    """Refuse a dataset unless the file holds as many values as its shape declares."""
    import h5py

    if dataset.shape is None:
        raise ValueError("it holds no array.")
    if dataset.dtype.kind not in "biuf" or dataset.dtype.hasobject:
        raise ValueError(f"it must hold numbers, but holds {dataset.dtype}.")
    creation = dataset.id.get_create_plist()
    layout = creation.get_layout()
    if layout == h5py.h5d.VIRTUAL or creation.get_external_count() > 0:
        raise ValueError("its values are in other files, which are not opened.")
    n_bytes = dataset.dtype.itemsize * math.prod(dataset.shape)
    n_stored = dataset.id.get_storage_size()
    if n_stored > n_file_bytes:
        raise ValueError(f"it declares {n_stored} stored bytes in a file of {n_file_bytes}.")
    if layout == h5py.h5d.CHUNKED:
        _check_chunks(dataset, creation, n_stored)
    elif n_stored != n_bytes:
        raise ValueError(f"shape {dataset.shape} needs {n_bytes} bytes, but {n_stored} are there.")


def _check_chunks(dataset, creation, n_stored):
    filters = [creation.get_filter(i)[0] for i in range(creation.get_nfilters())]
    if len(set(filters)) < len(filters):
        raise ValueError("it is compressed twice, which is not read.")
    unknown = [code for code in filters if code not in _FILTERS]
    if unknown:
        raise ValueError(
            f"it is compressed with filter {unknown[0]}, which does not come with h5py. Write it "
            "anew without compression or with compression='gzip'."
        )
    n_chunks = math.prod(
        -(-length // chunk) for length, chunk in zip(dataset.shape, dataset.chunks, strict=True)
    )
    if n_chunks == 0:
        return
    chunk_bytes = dataset.dtype.itemsize * math.prod(dataset.chunks)
    most_in_chunk = max(_LARGE_CHUNK, 4 * dataset.dtype.itemsize * math.prod(dataset.shape))
    if chunk_bytes > most_in_chunk:  # it would be decompressed as a whole
        raise ValueError(
            f"shape {dataset.shape} is in chunks of {chunk_bytes} bytes, far more than it needs."
        )
    n_bytes = n_chunks * chunk_bytes
    most = n_bytes if not filters else n_bytes + n_bytes // 64 + 4096 * n_chunks
    least = n_bytes if not filters else -(-n_bytes // _MOST_EXPANSION)
    if not least <= n_stored <= most:
        raise ValueError(
            f"shape {dataset.shape} in {n_chunks} chunks needs {n_bytes} bytes, which "
            f"{n_stored} stored bytes cannot be. Was the file written to its end?"
        )
    n_present = dataset.id.get_num_chunks()
    if n_present != n_chunks:
        raise ValueError(
            f"only {n_present} of its {n_chunks} chunks are there. Was the file written to its end?"
        )
