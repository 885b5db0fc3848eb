import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import skmil

COMMAND = [sys.executable, "-m", "skmil"]
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(Path(skmil.__file__).parents[1]),
    "PYTHONIOENCODING": "utf-8",
}


def run(*arguments, command=COMMAND):
    return subprocess.run(
        [*command, *arguments],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=ENVIRONMENT,
    )


def start(*arguments, **settings):
    return subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=ENVIRONMENT,
        **settings,
    )


def test_version():
    ended = run("--version")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"skmil {skmil.__version__}\n", "")


def test_reading_the_arguments_imports_nothing_slow():
    code = (
        "import sys; from skmil._cli._arguments import parse_arguments; parse_arguments([]);"
        "slow = {'numpy', 'sklearn', 'torch', 'tqdm'} & set(sys.modules);"
        "print(*slow)"
    )
    ended = run("-c", code, command=[sys.executable])
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "\n", "")


def test_wrong_usage():
    ended = run("--folds", "none")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == "skmil: error: argument --folds: 'none' is not an integer\n"


@pytest.mark.slow
def test_a_run_in_two_processes_prints_a_table_and_nothing_else():
    ended = run("synthetic", "--estimators", "statistics,misvm-bag", "--jobs", "2")
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert [line.split()[0] for line in lines[-2:]] == ["statistics", "MI-SVM"]
    assert "\x1b" not in ended.stdout
    assert "\r" not in ended.stdout


def _listen():
    """Take notice of Ctrl-C, which the shell tells what it starts in the background to ignore."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals are sent as on POSIX systems")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_interrupting_a_run(jobs):
    arguments = ["--repeats", "1000", "--estimators", "misvm-bag", "--progress", "--jobs", jobs]
    with start(*arguments, start_new_session=True, preexec_fn=_listen) as process:
        shown = ""
        while not re.search(r" [5-9]\d/5000", shown):  # by then every process is at work
            shown += process.stderr.read(1)
            assert process.poll() is None, shown
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all processes of the run
        rest = process.stderr.read()
    assert process.returncode == 130
    assert rest.endswith("\nskmil: interrupted\n")
    assert "Traceback" not in rest


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="pipes are closed as on POSIX systems")
def test_a_reader_that_stops_reading_is_no_crash():
    with start("synthetic", "--estimators", "statistics") as process:
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 1
    assert errors == ""
