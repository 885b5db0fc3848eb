"""What all readers return."""

from sklearn.utils import Bunch


def read_result(
    bags,
    target,
    *,
    bag_ids=None,
    instance_ids=None,
    instance_labels=None,
    folds=None,
    **extra,
):
    """Return what a reader found, under the same names whatever the format.

    Parameters
    ----------
    bags : Bags of shape (n_bags,)
        The bags.
    target : ndarray of shape (n_bags,) or None
        The labels of the bags; None if the file has none.
    bag_ids : ndarray of shape (n_bags,), default=None
        What the file calls each bag.
    instance_ids : ndarray of shape (n_instances,), default=None
        What the file calls each instance.
    instance_labels : ndarray of shape (n_instances,), default=None
        Labels of single instances, where they are genuine: never copies of the bag labels.
    folds : ndarray of int of shape (n_repeats, n_bags), default=None
        In which fold each bag is tested, for each repeat.
    **extra
        What only this format has.

    Returns
    -------
    data : Bunch
        All of these by name, and ``feature_names``: a list of str or None.
    """
    names = bags.feature_names
    return Bunch(
        bags=bags,
        target=target,
        bag_ids=bag_ids,
        instance_ids=instance_ids,
        instance_labels=instance_labels,
        feature_names=None if names is None else list(names),
        folds=folds,
        **extra,
    )
