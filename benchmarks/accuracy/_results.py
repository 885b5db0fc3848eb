"""The file of results: one row a fold, written as folds finish."""

import csv
import io
import json
import os
from pathlib import Path

from filelock import FileLock

KEY = ("data", "method", "tuning", "repeat", "fold")
LEAK = (
    *("accuracy_best_epoch", "best_epoch", "auc_best_epoch"),
    *("accuracy_best_threshold", "accuracy_best_both"),
)
FIELDS = (
    *KEY,
    *("n_test", "n_correct", "accuracy", "auc", "log_loss", "seconds"),
    *("chosen", "settings", "code"),
    *LEAK,
)


class Results:
    """Rows of results in a CSV file, and what their settings are in a JSON file beside it.

    Rows are appended one by one, each in a single write, so that a run that is killed loses the
    folds in work and those that overtook them; what was written of an unfinished line is ignored,
    and removed by `tidy`. Of several rows with the same key the last counts. Several processes may
    write.

    Parameters
    ----------
    path : str or Path
        The CSV file, which need not be there yet.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.settings_path = self.path.with_suffix(".settings.json")
        self._lock = FileLock(f"{self.path}.lock")

    def read(self):
        """Return the rows.

        Returns
        -------
        rows : dict of tuple to dict
            The rows by (data, method, tuning, repeat, fold), as text, sorted by key.
        """
        if not self.path.exists():
            return {}
        text = self.path.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        rows = {key_of(row): row for row in csv.DictReader(io.StringIO(whole))}
        return dict(sorted(rows.items()))

    def read_settings(self):
        """Return the settings by hash."""
        if not self.settings_path.exists():
            return {}
        return json.loads(self.settings_path.read_text(encoding="utf-8"))

    def append(self, rows, settings):
        """Add rows of the same settings.

        Parameters
        ----------
        rows : list of dict
            Values by field; missing ones and None stay empty.
        settings : dict of str to str
            Their settings.
        """
        with self._lock:
            known = self.read_settings()
            if rows[0]["settings"] not in known:
                self._write_settings({**known, rows[0]["settings"]: settings})
            if not self.path.exists():
                self._replace(self.path, _lines([]))
            with self.path.open("rb+") as file:
                text = file.read()
                file.seek(text.rfind(b"\n") + 1)
                file.truncate()
                file.write(_lines(rows, header=False).encode())
                file.flush()
                os.fsync(file.fileno())

    def tidy(self):
        """Sort the rows, and drop what has been replaced and settings that no row has."""
        with self._lock:
            rows = self.read()
            if not rows:
                return
            self._replace(self.path, _lines(rows.values()))
            used = {row["settings"] for row in rows.values()}
            known = self.read_settings()
            self._write_settings({name: known[name] for name in sorted(used & set(known))})

    def _write_settings(self, settings):
        text = json.dumps(settings, indent=1, sort_keys=True)
        self._replace(self.settings_path, text + "\n")

    @staticmethod
    def _replace(path, text):
        """Write a file such that it is the old one or the new one at any time."""
        part = path.with_name(f"{path.name}.part")
        part.write_text(text, encoding="utf-8", newline="\n")
        part.replace(path)


def key_of(row):
    """Return the key of a row."""
    data, method, tuning, repeat, fold = (row[field] for field in KEY)
    return data, method, tuning, int(repeat), int(fold)


def _lines(rows, header=True):
    """Return rows as text."""
    text = io.StringIO()
    table = csv.DictWriter(text, FIELDS, lineterminator="\n", extrasaction="ignore")
    if header:
        table.writeheader()
    table.writerows(rows)
    return text.getvalue()
