"""The layers of the package: imports point down only, and importing it is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skmil

ROOT = Path(skmil.__file__).parent
# From the top down. A module may import from layers below its own, and from its own folder.
LAYERS = [
    {"__main__"},
    {"_cli"},
    {"datasets", "neural"},
    {"svm", "embedding", "compose", "kernels", "neighbors", "diverse_density"},
    {"nn"},
    {"functional", "base"},
    {"_instance_kernel"},
    {"_sklearn", "_pairs", "_instances", "_distances"},
    {"bags"},
]
HEAVY = {"torch", "skorch", "matplotlib", "pooch", "filelock"}
# Which part may import what of the heavy or the private.
ALLOWED = {
    "torch": {"functional", "nn", "neural"},
    "skorch": {"neural"},
    "sklearn": {
        "base",
        "_sklearn",
        "svm",
        "embedding",
        "compose",
        "neighbors",
        "kernels",
        "diverse_density",
        "neural",
        "datasets",
        "_cli",
    },
    "h5py": {"datasets"},
    "pandas": {"datasets", "_cli"},
    "pyarrow": {"datasets"},
    "tqdm": {"datasets", "neural", "_cli"},
    "filelock": {"datasets"},
    "pooch": {"datasets"},
}

FILES = sorted(ROOT.rglob("*.py"))


def part(path):
    """Return the folder or module directly under the package that a file belongs to."""
    relative = path.relative_to(ROOT)
    return relative.parts[0].removesuffix(".py")


def layer(name):
    return next(i for i, names in enumerate(LAYERS) if name in names)


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            if node.module == "skmil":
                yield from (f"skmil.{alias.name}" for alias in node.names)
            else:
                yield node.module


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    if path == ROOT / "__init__.py":
        return
    homes = {name: home.split(".")[1] for name, home in skmil._HOMES.items()}
    for module in imported_modules(path):
        top, *rest = module.split(".")
        if top == "skmil" and rest and rest[0] != "__version__":
            target = homes.get(rest[0], rest[0])
            assert target == part(path) or layer(target) > layer(part(path)), (
                f"{path.relative_to(ROOT)} imports {module}, which is not below it"
            )
        elif top in ALLOWED:
            assert part(path) in ALLOWED[top], f"{path.relative_to(ROOT)} imports {top}"


def test_every_part_has_a_layer():
    parts = {part(path) for path in FILES} - {"__init__"}
    assert parts == set.union(*LAYERS)


def test_private_names_of_scikit_learn_come_through_one_file():
    for path in FILES:
        if path.name == "_sklearn.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sklearn"):
                names = [*node.module.split("."), *(alias.name for alias in node.names)]
                private = [name for name in names if name.startswith("_")]
                assert not private, f"{path.relative_to(ROOT)} imports {private}"


def modules_after(statement):
    script = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=120
    )
    return {name.split(".")[0] for name in run.stdout.split()}


def test_importing_skmil_loads_nothing_heavy():
    assert not modules_after("import skmil") & HEAVY


def test_classical_parts_work_without_torch():
    classical = LAYERS[layer("svm")] | {"datasets", "bags"}
    assert not modules_after("\n".join(f"import skmil.{part}" for part in classical)) & HEAVY


def test_the_public_list_is_complete_and_lazy_names_resolve():
    for name in skmil.__all__:
        assert getattr(skmil, name) is not None
        assert name in dir(skmil)
    for name in skmil._FOLDERS:
        assert getattr(skmil, name).__name__ == f"skmil.{name}"
    with pytest.raises(AttributeError, match="no attribute 'Bag'"):
        _ = skmil.Bag
