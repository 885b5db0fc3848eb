"""The one error of all readers; its home is beside `Bags`, which raises it too."""

from skmil.bags._errors import DataFileError, errors_name, open_ordinary

__all__ = ["DataFileError", "errors_name", "open_ordinary"]
