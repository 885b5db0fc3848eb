"""All settings of a classifier, in words and as a short hash."""

import hashlib
import json

#: What has no influence on results, or is given by the fold, or stands for other parameters.
_LEFT_OUT = {"random_state", "callbacks", "verbose", "n_jobs", "memory", "steps", "cache_size"}


def describe(model):
    """Return all parameters of a classifier, of its steps and their parts.

    Parameters
    ----------
    model : estimator
        The classifier.

    Returns
    -------
    settings : dict of str to str
        The values by name, sorted; of estimators the class. The seeds are left out.
    """
    params = {"": model, **model.get_params()}
    return {
        name: type(value).__name__ if hasattr(value, "get_params") else repr(value)
        for name, value in sorted(params.items())
        if name.split("__")[-1] not in _LEFT_OUT
    }


def digest(settings):
    """Return a short hash of settings.

    Parameters
    ----------
    settings : dict of str to str
        The settings.

    Returns
    -------
    digest : str
        Ten hexadecimal digits.
    """
    text = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:10]
