"""Reads the source of the core: docstrings, signatures and what stands below a field."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import tocsin
from tocsin import hookspecs

CORE = Path(tocsin.__file__).parent
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Example|Since):[ ]*(.*)$")


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook as a plugin's author sees it."""

    name: str
    signature: str
    text: str
    since: str
    arguments: dict[str, str]
    example: str


@dataclass(frozen=True, slots=True)
class Error:
    """An error class."""

    name: str
    base: str
    text: str
    attributes: dict[str, str]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _class(described: type) -> ast.ClassDef:
    path = Path(inspect.getfile(described))
    return next(
        node
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ClassDef) and node.name == described.__name__
    )


def _sections(docstring: str) -> dict[str, str]:
    """Split a docstring: its text is under an empty name."""
    parts: dict[str, list[str]] = {"": []}
    name = ""
    for line in docstring.splitlines():
        found = _SECTION.match(line)
        if found:
            name = found[1]
            parts[name] = [found[2]] if found[2] else []
        else:
            parts[name].append(line)
    return {name: "\n".join(lines).strip("\n") for name, lines in parts.items()}


def _items(section: str) -> dict[str, str]:
    """Read `name: text` with lines that go on below, deeper."""
    items: dict[str, str] = {}
    for line in inspect.cleandoc(section).splitlines():
        if line.startswith(" ") and items:
            items[list(items)[-1]] += f" {line.strip()}"
        elif ":" in line:
            name, _, text = line.partition(":")
            items[name] = text.strip()
    return items


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _sentence(text: str) -> str:
    """Give the first sentence of a text."""
    return re.split(r"(?<=[.!])\s+(?=[A-Z`])", _one_line(text))[0]


def signature(function: ast.FunctionDef | ast.AsyncFunctionDef, *, method: bool = False) -> str:
    """Write a signature as it stands in the source, in one line."""
    arguments = ast.unparse(function.args)
    arguments = re.sub(r"^self(, )?", "", arguments) if method else arguments
    arguments = re.sub(r"(?<=[\w\]])=(?=[\w(\"'\[{])", " = ", arguments)
    returns = f" -> {ast.unparse(function.returns)}" if function.returns else ""
    return f"{function.name}({arguments}){returns}"


def hooks() -> Iterator[Hook]:
    """Read the hooks in the order of the source."""
    for node in _tree(Path(hookspecs.__file__)).body:
        if isinstance(node, ast.FunctionDef):
            parts = _sections(ast.get_docstring(node) or "")
            yield Hook(
                node.name,
                signature(node),
                _one_line(parts[""]),
                parts["Since"],
                _items(parts.get("Args", "")),
                inspect.cleandoc(parts["Example"]),
            )


def summary(described: type) -> str:
    """Give a class's docstring as one paragraph."""
    text = ast.get_docstring(_class(described)) or ""
    return _one_line(_sections(text)[""])


def attributes(described: type) -> dict[str, str]:
    """Give what stands below the fields of a class, and of those that it is made from."""
    found: dict[str, str] = {}
    for base in reversed(described.__mro__):
        if not base.__module__.startswith("tocsin"):
            continue
        body = _class(base).body
        for node, after in zip(body, [*body[1:], None], strict=True):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                text = ""
                if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                    text = _one_line(str(after.value.value))
                found[node.target.id] = text
    return found


def members(described: type) -> list[tuple[str, str]]:
    """List the public fields, properties and methods of a class, each with its meaning."""
    fields = {
        node.target.id: f"{node.target.id}: {ast.unparse(node.annotation)}"
        for base in reversed(described.__mro__)
        if base.__module__.startswith("tocsin")
        for node in _class(base).body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    found = [
        (text, attributes(described)[name])
        for name, text in fields.items()
        if not name.startswith("_") and name != "model_config"
    ]
    constants = vars(inspect.getmodule(described))
    for node in _class(described).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            property_ = any(ast.unparse(d) == "property" for d in node.decorator_list)
            written = re.sub(
                r"(?<= = )(_[A-Z_]+)",
                lambda match: repr(constants[match[1]]),
                signature(node, method=True),
            )
            if node.name == "__init__":
                written = written.replace("__init__", described.__name__).removesuffix(" -> None")
            elif node.name.startswith("_") and node.name != "__call__":
                continue
            elif property_:
                written = written.replace("()", "", 1)
            colour = "async " if isinstance(node, ast.AsyncFunctionDef) else ""
            found.append((colour + written, _meaning(ast.get_docstring(node) or "")))
    return found


def _meaning(docstring: str) -> str:
    parts = _sections(docstring)
    text = _one_line(parts[""])
    if "Returns" in parts:
        text += f" Returns: {_one_line(parts['Returns'])}"
    raises = _items(parts.get("Raises", ""))
    return text + "".join(f" `{name}`: {why}" for name, why in raises.items())


def errors() -> Iterator[Error]:
    """Find the public error classes of the core, those that others are made from first."""
    nodes = [
        node
        for path in sorted(CORE.rglob("*.py"))
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ClassDef)
    ]
    known = {"Exception"}
    while True:
        fresh = [
            node
            for node in nodes
            if node.name not in known
            and any(ast.unparse(base) in known for base in node.bases)
            and (node.name == "TocsinError" or "TocsinError" in known)
        ]
        if not fresh:
            return
        for node in fresh:
            known.add(node.name)
            if node.name.startswith("_"):
                continue
            parts = _sections(ast.get_docstring(node) or "")
            attributes_ = _items(parts.get("Attributes", ""))
            yield Error(node.name, ast.unparse(node.bases[0]), _one_line(parts[""]), attributes_)


def module_summary(name: str) -> str | None:
    """Give the first sentence of a module's or a package's docstring; None where there is none."""
    for path in (CORE / f"{name}.py", CORE / name / "__init__.py"):
        if path.exists():
            return _sentence(ast.get_docstring(_tree(path)) or "")
    return None
