"""The house: imports go down only, packages are complete, operators stand alone."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

import perfmodel
from perfmodel.core.operator import Category
from perfmodel.ops import registry
from perfmodel.readers.structure import NODE_KEYS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "perfmodel"
FLOORS = {
    "errors": 0, "units": 0, "catalog": 0,
    "core": 1,
    "ops": 2, "kernels": 2,
    "graph": 3, "machine": 3,
    "readers": 4, "transforms": 4, "memory": 4, "receptive": 4, "model": 4,
    "evaluate": 5, "coverage": 5, "analysis": 5, "sweeping": 5,
    "report": 6, "measure": 6,
    "api": 7, "cli": 7,
}  # fmt: skip


def _imports(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level == 0:
            names |= {f"{node.module}.{a.name}" for a in node.names} | {str(node.module)}
        elif isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
    return {n for n in names if n.split(".")[0] == "perfmodel"}


def _room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FLOORS else None


SOURCES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "kernels").rglob("*.py")])


@pytest.mark.parametrize("file", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down_only(file: Path) -> None:
    relative = file.relative_to(ROOT).with_suffix("").parts
    module = ".".join(relative if relative[0] == "perfmodel" else ("perfmodel", *relative))
    room = _room(module)
    if room is None:
        assert module == "perfmodel.__init__", f"{module} stands on no floor"
        return
    above = {n for n in _imports(file) if (r := _room(n)) and FLOORS[r] > FLOORS[room]}
    assert not above


def test_operators_never_import_each_other() -> None:
    for file in (PACKAGE / "ops").glob("[!_]*.py"):
        assert not {n for n in _imports(file) if n.startswith("perfmodel.ops")}, file.name


def test_core_knows_no_operator() -> None:
    categories = set(get_args(Category))
    for file in (PACKAGE / "core").glob("*.py"):
        text = file.read_text()
        known = [n for n in registry() if f'"{n}"' in text and n not in categories]
        assert not known, file.name


def test_packages_of_the_wheel_are_the_packages_of_the_checkout() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {".".join(p.parent.relative_to(ROOT).parts) for p in PACKAGE.rglob("__init__.py")}
    for folder in ("hardware", "kernels", "workloads"):
        found |= {
            ".".join(("perfmodel", *p.parent.relative_to(ROOT).parts))
            for p in (ROOT / folder).rglob("__init__.py")
        }
    assert set(config["packages"]) == found
    assert config["package-dir"] == {
        f"perfmodel.{f}": f for f in ("hardware", "kernels", "workloads")
    }


def test_no_file_shadows_a_mapped_folder() -> None:
    assert not [f for f in ("hardware", "workloads", "kernels") if (PACKAGE / f"{f}.py").exists()]


def test_files_stay_readable() -> None:
    long = {str(f): n for f in SOURCES if (n := len(f.read_text().splitlines())) > 320}
    assert not long


@pytest.mark.parametrize("module", ["kernels", "hardware", "workloads"])
def test_no_top_level_module_is_installed(module: str, tmp_path: Path) -> None:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is not None)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0


def test_importing_perfmodel_or_asking_help_loads_nothing_heavy(tmp_path: Path) -> None:
    heavy = "{'numpy', 'pandas', 'plotly', 'pydantic', 'yaml', 'torch', 'onnx', 'scipy'}"
    code = f"import sys, perfmodel; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True)
    assert out.strip() == "[]"
    code = (
        "import sys; from perfmodel.cli import main; main(['--help']);"
        "print(sorted({'numpy', 'pandas', 'plotly'} & set(sys.modules)))"
    )
    out = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True)
    assert out.strip().endswith("[]")


def test_every_public_name_is_there_and_documented() -> None:
    for name in perfmodel.__all__:
        assert getattr(perfmodel, name) is not None
        assert name in dir(perfmodel)
        if not name.startswith("_"):
            assert getattr(perfmodel, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = perfmodel.nothing


def test_every_operator_says_what_it_is() -> None:
    for name, op in registry().items():
        assert op.__doc__, name
        assert "->" in op.__doc__ or "y =" in op.__doc__, f"{name}: no shapes or formula"
        assert op.example.startswith(f"{name}:")
        assert len(op.small) >= 3, name
        for field in op.attributes():
            assert field.metadata["doc"], f"{name}.{field.name}"


def test_no_attribute_is_named_as_a_key_of_every_node() -> None:
    for name, op in registry().items():
        clash = {field.name for field in op.attributes()} & set(NODE_KEYS)
        assert not clash, f"{name}: {clash}"
