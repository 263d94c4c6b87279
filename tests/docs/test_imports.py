"""Who may import whom: no circles, frameworks behind their doors, and a target that stands alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FRAMEWORKS = ("mxnet", "gluoncv")
DOORS = ("mrt.frontends", "mrt.executors", "mrt.datasets", "mrt.nets", "mrt.train", "mrt.compress")
"""Where a framework reads, runs or trains networks."""
DOORS_IN_RUN = ("mrt.run.source",)
"""Until networks are found behind the front ends."""
SOURCES = (".cpp", ".h", ".inl")
INCLUDE = re.compile(r'#include "([^"]+)"')
PRIVATE = (
    "os._exit",
    "ctypes._NamedFuncPointer",
    "argparse._SubParsersAction",
    "parser._actions",
    "self._metric._match",
    "self._metric._score",
    "config._order",
)
"""Names of other packages, which have no public one, and a validator of a class that completes what it made."""


def modules(folder: Path, root: Path) -> dict[str, Path]:
    """The Python files under a folder, by the name they are imported by."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: Iterable[str] = ()) -> set[str]:
    """All that a file imports, wherever and for whatever purpose: by the name of a known module where there is one."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: a relative import"
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found.update(name if name in known else node.module for name in names)
    return found


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Names that lead from one back to itself, or nothing."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for other in sorted(graph[name]):
            if found := walk(other, [*path, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := walk(name, []))), [])


def own_imports() -> dict[str, set[str]]:
    """What the files of mrt import of each other."""
    files = modules(ROOT / "mrt", ROOT)
    return {name: (imports(path, files) & set(files)) - {name} for name, path in files.items()}


def test_a_circle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle(own_imports()) == []


def test_no_packages_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for name, others in own_imports().items():
        room = ".".join(name.split(".")[:2])
        graph.setdefault(room, set()).update({".".join(other.split(".")[:2]) for other in others} - {room})
    assert len(graph["mrt.ops"]) > 1
    assert circle({name: others - {"mrt"} for name, others in graph.items() if name != "mrt"}) == []


def test_only_doors_import_a_framework() -> None:
    allowed = (*DOORS, *DOORS_IN_RUN)
    for name, path in modules(ROOT / "mrt", ROOT).items():
        if not any(name == door or name.startswith(f"{door}.") for door in allowed):
            frameworks = {each for each in imports(path) if each.split(".")[0] in FRAMEWORKS}
            assert not frameworks, f"{name} imports {frameworks}"


def test_the_graph_imports_nothing_of_mrt_but_its_error() -> None:
    for name, others in own_imports().items():
        if name.startswith("mrt.graph"):
            outside = {other for other in others if not other.startswith("mrt.graph")}
            assert outside <= {"mrt.errors"}, f"{name} imports {outside}"


def test_the_target_imports_neither_the_quantizer_nor_a_framework() -> None:
    files = modules(ROOT / "python" / "cvm", ROOT / "python")
    assert "cvm.formal" in files
    for name, path in files.items():
        roots = {each.split(".")[0] for each in imports(path)}
        assert roots.isdisjoint({"mrt", *FRAMEWORKS}), f"{name} imports {roots}"


def test_no_files_and_no_rooms_of_the_native_runtime_include_each_other_in_a_circle() -> None:
    native = ROOT / "python" / "cvm" / "native"
    paths = {path.relative_to(native).as_posix(): path for path in native.rglob("*.*") if path.suffix in SOURCES}
    files = {name: set(INCLUDE.findall(path.read_text())) & set(paths) for name, path in paths.items()}
    rooms: dict[str, set[str]] = {}
    for name, others in files.items():
        room = name.split("/")[0]
        rooms.setdefault(room, set()).update({other.split("/")[0] for other in others} - {room})
    assert "exec" in rooms["plan"] and "plan" in rooms["model"]
    assert circle(files) == [] and circle(rooms) == []


def test_nothing_reaches_into_another_instances_private_fields() -> None:
    for root in (ROOT / "mrt", ROOT / "python" / "cvm"):
        for path in sorted(root.rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and re.match("_[^_]", node.attr):
                    found = ast.unparse(node)
                    own = found.split(".")[0] in ("self", "cls") and found.count(".") == 1
                    assert own or found in PRIVATE or found.startswith("super()."), f"{path}:{node.lineno}: {found}"
