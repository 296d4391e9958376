"""The walls of the house: which room may import which, and what every module opens with."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "qrex"

# docs/architecture.md says what each is for.
ROOMS = (
    "errors",
    "units",
    "evidence",
    "store",
    "telemetry",
    "circuits",
    "platform",
    "compilation",
    "profile",
    "engines",
    "twin",
    "measure",
    "suppress",
    "fabric",
    "balance",
    "execute",
    "report",
    "expansion",
    "cli",
)
OF_THE_PACKAGE = {"__version__", "_kernels"}  # what any room may take from `qrex` itself; _kernels is compiled
MAX_LINES = 400

MODULES = sorted(SOURCE.rglob("*.py"))
INITS = [path for path in MODULES if path.name == "__init__.py"]
NAMED = [path for path in MODULES if path.name != "__main__.py"]


def _label(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _is_type_checking(node: ast.AST) -> bool:
    if not isinstance(node, ast.If):
        return False
    test = node.test
    return getattr(test, "id", getattr(test, "attr", None)) == "TYPE_CHECKING"


def _imports(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Imports at any depth, in functions too; not those of `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif _is_type_checking(child):
            for other in child.orelse:
                yield from _imports(ast.Module([other], []))
        else:
            yield from _imports(child)


def _imported_rooms(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """(line, room) of imports out of `qrex`; the room is "" where the import is relative."""
    for node in _imports(tree):
        if isinstance(node, ast.Import):
            reached = [alias.name.split(".")[1] for alias in node.names if alias.name.startswith("qrex.")]
        elif node.level:
            reached = [""]
        elif node.module == "qrex":
            reached = [alias.name for alias in node.names if alias.name not in OF_THE_PACKAGE]
        else:
            reached = [node.module.split(".")[1]] if node.module.startswith("qrex.") else []
        yield from ((node.lineno, room) for room in reached)


def _rooms_in_strings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Module names as text, which `importlib` and worker processes import later."""
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        match = re.fullmatch(r"qrex\.(\w+)(\.\w+)*", text)
        if match and match.group(1) in ROOMS:
            yield node.lineno, match.group(1)


def _wall_breaches(source: Path, path: Path, rooms: tuple[str, ...] = ROOMS) -> list[str]:
    """What `path` imports from rooms below its own, from rooms that do not exist, or by relative names."""
    room = path.relative_to(source).with_suffix("").parts[0]
    tree = _tree(path)
    breaches = []
    for line, other in [*_imported_rooms(tree), *_rooms_in_strings(tree)]:
        if not other:
            breaches.append(f"line {line}: relative import; write the full name")
        elif other not in rooms:
            breaches.append(f"line {line}: {other} is no room")
        elif rooms.index(other) > rooms.index(room):
            breaches.append(f"line {line}: {room} stands above {other} and must not import it")
    return breaches


def _exported(tree: ast.Module) -> list[str] | None:
    """The literal of `__all__`; None where there is none."""
    for node in tree.body:
        if not isinstance(node, ast.Assign | ast.AnnAssign):
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            return ast.literal_eval(node.value)
    return None


def _module_name(path: Path) -> str:
    parts = ("qrex", *path.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(part for part in parts if part != "__init__")


def test_the_rooms_are_those_that_exist():
    found = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert found - {"__init__"} == set(ROOMS)


def test_the_architecture_page_lists_them_in_this_order():
    page = (SOURCE.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert tuple(re.findall(r"^\| `(\w+)` \|", page, re.M)) == ROOMS


@pytest.mark.parametrize("path", [p for p in MODULES if p != SOURCE / "__init__.py"], ids=_label)
def test_a_room_imports_only_from_rooms_above_it(path):
    assert _wall_breaches(SOURCE, path) == []


@pytest.mark.parametrize(
    ("text", "breach"),
    [
        ("from qrex.expansion import Expansion", "must not import"),
        ("def f():\n    import qrex.cli.run", "must not import"),
        ("from qrex import report", "must not import"),
        ("from .protocol import Engine", "relative"),
        ("from qrex.helpers import x", "no room"),
        ('LATER = {"plan": "qrex.expansion.pipeline"}', "must not import"),
        ("if TYPE_CHECKING:\n    from qrex.report import Summary", None),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    from qrex.report import Summary", "must not import"),
        ("from qrex.profile import Profile\nfrom qrex import _kernels\nimport numpy", None),
    ],
)
def test_the_check_sees_what_it_is_for(tmp_path, text, breach):
    path = tmp_path / "engines" / "made_up.py"
    path.parent.mkdir()
    path.write_text(text)
    found = _wall_breaches(tmp_path, path)
    assert not found if breach is None else len(found) == 1 and breach in found[0]


@pytest.mark.parametrize("path", MODULES, ids=_label)
def test_no_file_holds_two_subjects(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", NAMED, ids=_label)
def test_a_module_opens_with_a_docstring(path):
    assert ast.get_docstring(_tree(path))


@pytest.mark.parametrize("path", [p for p in INITS if p.parent.parent == SOURCE], ids=_label)
def test_a_room_says_what_comes_in_and_what_goes_out(path):
    text = ast.get_docstring(_tree(path)) or ""
    assert "In:" in text and "Out:" in text


@pytest.mark.parametrize("path", NAMED, ids=_label)
def test_exports_are_explicit_and_exist(path):
    exported = _exported(_tree(path))
    assert exported is not None, "no __all__"
    assert len(set(exported)) == len(exported)
    module = importlib.import_module(_module_name(path))
    assert [name for name in exported if not hasattr(module, name)] == []
