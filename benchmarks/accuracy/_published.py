"""The accuracies printed by Yan et al. (ACML 2018), most of them quoted from the methods' papers.

The printed spread of DP-MINN appears to be the standard deviation over the 50 folds divided by the
square root of 5.
"""

CLASSICS = ("musk1", "musk2", "fox", "tiger", "elephant")

_CLASSICS = {
    "misvm-instance": (0.874, 0.836, 0.582, 0.784, 0.822),
    "misvm-bag": (0.779, 0.843, 0.578, 0.840, 0.843),
    "mi-kernel": (0.880, 0.893, 0.603, 0.842, 0.843),
    "em-dd": (0.849, 0.869, 0.609, 0.730, 0.771),
    "mi-graph": (0.889, 0.903, 0.620, 0.860, 0.869),
    "mi-vlad": (0.871, 0.872, 0.620, 0.811, 0.850),
    "mi-fv": (0.909, 0.884, 0.621, 0.813, 0.852),
    "instance-net": (0.889, 0.858, 0.613, 0.824, 0.858),
    "mi-net": (0.887, 0.859, 0.622, 0.830, 0.862),
    "mi-net-ds": (0.894, 0.874, 0.630, 0.845, 0.872),
    "mi-net-rc": (0.898, 0.873, 0.619, 0.836, 0.857),
    "attention": (0.892, 0.858, 0.615, 0.839, 0.868),
    "gated-attention": (0.900, 0.863, 0.603, 0.845, 0.857),
    "dp-minn": (0.907, 0.926, 0.655, 0.897, 0.894),
    "dp-minn-t1": (0.907, 0.888, 0.617, 0.880, 0.880),
    "dp-minn-t2": (0.887, 0.907, 0.642, 0.891, 0.886),
    "dp-minn-t4": (0.920, 0.876, 0.659, 0.899, 0.886),
    "dp-minn-t5": (0.887, 0.905, 0.652, 0.890, 0.885),
    "dp-minn-ce": (0.894, 0.903, 0.580, 0.855, 0.887),
}

#: DP-MINN, MI-Net.
_NEWSGROUPS = {
    "news_alt_atheism": (0.896, 0.776),
    "news_comp_graphics": (0.858, 0.826),
    "news_comp_os_ms_windows_misc": (0.794, 0.678),
    "news_comp_sys_ibm_pc_hardware": (0.770, 0.778),
    "news_comp_sys_mac_hardware": (0.860, 0.792),
    "news_comp_windows_x": (0.878, 0.786),
    "news_misc_forsale": (0.787, 0.652),
    "news_rec_autos": (0.838, 0.774),
    "news_rec_motorcycles": (0.890, 0.762),
    "news_rec_sport_baseball": (0.856, 0.856),
    "news_rec_sport_hockey": (0.929, 0.862),
    "news_sci_crypt": (0.854, 0.694),
    "news_sci_electronics": (0.932, 0.930),
    "news_sci_med": (0.846, 0.818),
    "news_sci_space": (0.908, 0.752),
    "news_soc_religion_christian": (0.840, 0.782),
    "news_talk_politics_guns": (0.822, 0.652),
    "news_talk_politics_mideast": (0.830, 0.794),
    "news_talk_politics_misc": (0.822, 0.654),
    "news_talk_religion_misc": (0.814, 0.700),
}

#: Accuracy by method and data set.
PUBLISHED = {
    **{
        (method, data): accuracy
        for method, accuracies in _CLASSICS.items()
        for data, accuracy in zip(CLASSICS, accuracies, strict=True)
    },
    **{("dp-minn", data): accuracy for data, (accuracy, _) in _NEWSGROUPS.items()},
    **{("mi-net", data): accuracy for data, (_, accuracy) in _NEWSGROUPS.items()},
    ("dp-minn", "ucsb_breast"): 0.927,
    ("dp-minn", "messidor"): 0.740,
}

#: The printed spread, where there is one.
SPREAD = {
    "musk1": 0.036,
    "musk2": 0.043,
    "fox": 0.052,
    "tiger": 0.028,
    "elephant": 0.030,
    "ucsb_breast": 0.070,
    "messidor": 0.020,
}


def published(method, data):
    """Return the printed accuracy of a method on a data set.

    Parameters
    ----------
    method : str
        The name of a row. What is printed for DP-MINN holds for each of its configurations.
    data : str
        The name of a data set.

    Returns
    -------
    accuracy : float or None
        The accuracy, if there is one.
    """
    name = method
    for configuration in ("-paper", "-single", "-wide", "-uncalibrated"):
        name = name.replace(configuration, "")
    return PUBLISHED.get(("dp-minn" if name == "dp-minn-t3" else name, data))
