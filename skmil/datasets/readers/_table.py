"""Long tables: one row per instance, a column that names its bag, another with its label."""

from pathlib import Path

from skmil.bags._errors import errors_name
from skmil.datasets.readers._columns import bags_of_table
from skmil.datasets.readers._delimited import read_delimited
from skmil.datasets.readers._open import inner_suffix
from skmil.datasets.readers._parquet import read_parquet

#: Suffix of a table, and what stands between its columns; None for one that is no text.
SEPARATORS = {".csv": ",", ".tsv": "\t", ".parquet": None}


def read_table(
    path,
    *,
    bag="bag",
    label="label",
    features=None,
    instance=None,
    instance_label=None,
    header=True,
    separator=None,
):
    r"""Read bags from a long table: one row per instance, a column that names its bag.

    Text with the suffix ``.csv`` or ``.tsv`` is read, compressed with gzip
    (``.csv.gz``) or not, and Parquet files with the suffix ``.parquet``. Rows of a bag
    need not be adjacent: bags keep the order in which they first appear, instances their
    order inside the bag.

    Parameters
    ----------
    path : str or path-like
        The file.
    bag : str or int, default="bag"
        The column that names the bag.
    label : str, int or None, default="label"
        The column with the label of the bag, the same in all its rows. None for bags
        without labels.
    features : list of str or int, default=None
        The columns to use as features, in this order. None takes all that have no other
        role; each of them has to be numeric.
    instance : str or int, default=None
        The column that names the instance, if there is one.
    instance_label : str or int, default=None
        The column with the label of the single instance, if there is one.
    header : bool, default=True
        Whether the first line names the columns. If not, columns are numbered from 0:
        ``header=False, bag=0, label=1``. Parquet files always name theirs.
    separator : str, default=None
        The character between two columns of text. None for a tab in ``.tsv`` files and a
        comma in all others.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the attributes:

        bags : Bags of shape (n_bags,)
            The bags, with the names of the feature columns; float64, but float32 if all
            feature columns of a Parquet file are.
        target : ndarray of shape (n_bags,) or None
            The labels: boolean, integer or float if all are, otherwise strings.
        bag_ids : ndarray of shape (n_bags,)
            The names of the bags. In text they are strings whatever they look like: 007
            is not 7. From a Parquet file they have the type of their column.
        instance_ids : ndarray of shape (n_instances,) or None
            The names of the instances, in the order of ``bags.instances``.
        instance_labels : ndarray of shape (n_instances,) or None
            The labels of the instances, in the same order.
        feature_names : list of str or None
            The names of the features; None without a header.
        folds : None
            Not part of this format.

    Raises
    ------
    DataFileError
        If the content of the file is not as described.
    ImportError
        If the file is a Parquet file and pyarrow is not installed.
    OSError
        If the file cannot be opened.

    See Also
    --------
    skmil.Bags.from_frame : The same for a table in memory.

    Notes
    -----
    Text is read as UTF-8 with quotation marks as in RFC 4180 [1]_. Every line must have as
    many values as there are columns; empty lines are skipped. Numbers become the nearest
    float64, to the last bit.

    ``DataFrame.to_csv`` of pandas writes the index as a first column without a name, unless
    it is told ``index=False``. Such a column is left out if it holds 0, 1, 2 and so on, for
    then it only counts the rows. The column ``__index_level_0__`` of a Parquet file is left
    out whatever it holds, since pandas gives this name to nothing but an index. Any other
    column without a name is refused, for it may or may not be a feature: name the columns
    to use with `features`.

    References
    ----------
    .. [1] Y. Shafranovich, "Common Format and MIME Type for Comma-Separated Values (CSV)
       Files", RFC 4180, 2005.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skmil.datasets import read_table
    >>> path = Path(tempfile.mkdtemp()) / "conformers.csv"
    >>> _ = path.write_text(
    ...     "molecule,energy,radius,active\n"
    ...     "ethanol,0.1,1.0,yes\n"
    ...     "phenol,0.2,2.0,no\n"
    ...     "ethanol,0.4,1.5,yes\n"
    ... )
    >>> data = read_table(path, bag="molecule", label="active")
    >>> data.bags
    Bags(2 bags, 3 instances, 2 features, float64)
    >>> data.bag_ids.tolist(), data.target.tolist()
    (['ethanol', 'phenol'], ['yes', 'no'])
    """
    path = Path(path)
    suffix = inner_suffix(path)
    roles = {"bag": bag, "label": label, "instance": instance, "instance_label": instance_label}
    roles = {role: name for role, name in roles.items() if name is not None}
    if bag is None:
        raise ValueError("bag must name the column that says which bag an instance belongs to.")
    if suffix == ".parquet":
        columns, instances, values = read_parquet(path, roles, features)
    else:
        separator = separator or SEPARATORS.get(suffix) or ","
        columns, instances, values = read_delimited(
            path, roles, features, header=header, separator=separator
        )
    with errors_name(path):
        return bags_of_table(columns, instances, values)
