"""Tables in Parquet files: column by column, with the types of the values."""

import os

import numpy as np

from skmil.bags._errors import errors_name, open_ordinary
from skmil.datasets.readers._columns import choose_columns

#: How many values are decoded at a time.
_PIECE = 1 << 18
#: More than this many bytes are not taken to come out of one.
_MOST_EXPANSION = 1100


def read_parquet(path, roles, features):
    """Read the columns of a table from a Parquet file.

    Only the columns that are needed are read, a piece at a time.

    Parameters
    ----------
    path : Path
        The file.
    roles : dict of str to column name
        The columns that are no features.
    features : list of column names or None
        The features; None for all other columns.

    Returns
    -------
    columns : Columns
        What is in which column.
    instances : ndarray of shape (n_rows, n_features)
        The features, in float32 if all of them are, otherwise in float64.
    values : dict of str to ndarray of shape (n_rows,)
        The values of the columns that have a role.
    """
    pa, pq = _import_pyarrow(path)
    # A file that cannot be opened is another matter than one that cannot be read.
    damage = (OSError, KeyError, NotImplementedError, pa.ArrowException)
    with open_ordinary(path) as file, errors_name(path, caught=damage):
        table = pq.ParquetFile(file, pre_buffer=False)
        schema = table.schema_arrow
        # Dictionaries, so that a text which stands in many rows is in memory once.
        texts = [name for name in roles.values() if _has_text(pa, schema, name)]
        table = pq.ParquetFile(
            file, metadata=table.metadata, pre_buffer=False, read_dictionary=texts
        )
        names = schema.names
        # pandas and pyarrow reserve such names for an index, whatever it holds.
        kept = [name for name in names if features or not name.startswith("__index_level_")]
        columns = choose_columns(kept, roles, features)
        needed = [columns.names[i] for i in [*columns.features, *columns.roles.values()]]
        _check_types(pa, schema, columns)
        n_rows = _check_sizes(table, len(needed), os.fstat(file.fileno()).st_size)
        feature_types = {schema.field(columns.names[i]).type for i in columns.features}
        dtype = np.float32 if feature_types == {pa.float32()} else np.float64
        instances = np.empty((n_rows, len(columns.features)), dtype=dtype)
        parts = {role: [] for role in roles}
        pieces = table.iter_batches(
            max(1, _PIECE // len(needed)), columns=needed, use_threads=False
        )
        _fill(pa, pieces, columns, instances, parts)
        return columns, instances, {role: np.concatenate(parts[role]) for role in roles}


def _fill(pa, pieces, columns, instances, parts):
    """Copy piece after piece of the table to where it belongs."""
    start = 0
    for piece in pieces:
        stop = start + piece.num_rows
        if stop > len(instances):
            raise ValueError(f"there are more rows than the {len(instances)} that are declared.")
        for column, i in enumerate(columns.features):
            values = _complete(piece, columns.names[i], start)
            with np.errstate(invalid="ignore"):  # of a signalling NaN, which is refused later
                instances[start:stop, column] = values.to_numpy(zero_copy_only=False)
        for role, i in columns.roles.items():
            parts[role].append(_plain_values(pa, _complete(piece, columns.names[i], start)))
        start = stop
    if start < len(instances):
        raise ValueError(f"there are {start} rows, not the {len(instances)} that are declared.")


def _complete(piece, name, start):
    """Return a column of this piece; refuse one with a missing value."""
    values = piece.column(name)
    if values.null_count:
        row = start + values.is_null().to_pylist().index(True)
        raise ValueError(f"Row {row} has no value in column {name!r}. Fill it in or drop the row.")
    return values


def _plain_values(pa, values):
    """Return numbers as they are and strings as objects, equal ones only once."""
    if not _is_text(pa, values.type):
        numbers = values.to_numpy(zero_copy_only=False)
        if not np.isfinite(numbers).all():
            raise ValueError(f"a bag, label or instance is {numbers[~np.isfinite(numbers)][0]}.")
        return numbers
    if not pa.types.is_dictionary(values.type):
        values = values.dictionary_encode()
    words = values.dictionary.to_pylist()
    if any("\0" in word for word in words if word is not None):
        raise ValueError("a bag, label or instance holds a zero byte.")  # NumPy's padding
    indices = values.indices.to_numpy(zero_copy_only=False)
    if None in words:
        raise ValueError("a bag, label or instance has no value. Fill it in or drop the row.")
    if len(indices) and not 0 <= indices.min() <= indices.max() < len(words):
        raise ValueError("a value refers to no entry of the dictionary of its column.")
    table = np.empty(len(words), dtype=object)
    table[:] = words
    return table[indices]


def _check_types(pa, schema, columns):
    """Refuse columns of types that are no numbers, or no names and labels."""
    for i in columns.features:
        kind = schema.field(columns.names[i]).type
        if not _is_number(pa, kind):
            raise ValueError(
                f"column {columns.names[i]!r} of type {kind} is neither the bag, nor the label, "
                "nor numeric. Encode it as numbers, or name the columns to use with "
                "features=[...]."
            )
    for role, i in columns.roles.items():
        kind = schema.field(columns.names[i]).type
        if not (_is_number(pa, kind) or _is_text(pa, kind)):
            raise ValueError(
                f"column {columns.names[i]!r} of type {kind} is the {role.replace('_', ' ')}, "
                "which takes numbers or strings. Convert it."
            )


def _check_sizes(table, n_columns, n_file_bytes):
    """Return the number of rows; refuse one that does not fit to the rest of the footer.

    Only counts of rows are looked at. pyarrow checks the rest when it reads a column, and
    turns what it finds into an exception; the same damage, met while asking for the metadata
    of a single column, would end the process.
    """
    footer = table.metadata
    n_rows = footer.num_rows
    group_sizes = [footer.row_group(i).num_rows for i in range(footer.num_row_groups)]
    if n_rows < 0 or min(group_sizes, default=0) < 0 or sum(group_sizes) != n_rows:
        raise ValueError(f"the parts of the table do not have {n_rows} rows together.")
    if n_rows == 0:
        raise ValueError("the table has no rows, so there are no bags.")
    if 8 * n_rows * n_columns > _MOST_EXPANSION * n_file_bytes:
        raise ValueError(
            f"{n_rows} rows of {n_columns} columns are too many for {n_file_bytes} bytes."
        )
    return n_rows


def _is_number(pa, kind):
    types = pa.types
    return types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)


def _is_text(pa, kind):
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    return types.is_string(kind) or types.is_large_string(kind)


def _has_text(pa, schema, name):
    indices = schema.get_all_field_indices(name) if isinstance(name, str) else []
    return any(_is_text(pa, schema.field(i).type) for i in indices)


def _import_pyarrow(path):
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise ImportError(
            f"{path}: reading a Parquet file needs pyarrow, which is not installed. "
            "Install it with: pip install skmil[data]"
        ) from error
    return pa, pq
