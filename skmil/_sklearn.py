"""The private names of scikit-learn that skmil uses, all in one place.

scikit-learn does not document for third parties how to declare and enforce parameter
constraints, nor how to make up feature names. Should a release move them, this is the file to
change.
"""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import HasMethods, Hidden, Interval, Options, StrOptions
from sklearn.utils.validation import _check_feature_names_in as feature_names_in

__all__ = [
    "HasMethods",
    "Hidden",
    "Interval",
    "Options",
    "StrOptions",
    "feature_names_in",
    "fit_context",
]
