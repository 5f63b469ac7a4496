"""README.md and docs: every example runs, and prints what the page says it prints.

A block of ``python`` that starts an event loop or does without, or is marked ``python run``, is a
program: it is run in a process of its own, with the example URL replaced by a real server's. If a
block of ``text`` follows, that is its output. (The process is forked from one that has loaded other
projects, and nothing of anygql.) Other blocks are snippets: they must compile, and their imports of
anygql must exist. A block marked ``python server`` serves for ever, and ``python no-run`` isn't
ours. The blocks of ``docs/testing.md`` are run in ``tests/testing``.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import runpy
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest

from anygql import Client
from anygql.testing import GraphQLServer, demo_schema
from tests.support import github
from tests.support.paths import ROOT
from tests.support.programs import Forker

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
REFERENCE = DOCS / "reference"
RUN_ELSEWHERE = {DOCS / "testing.md"}
#: Where the example server is, in the pages; over WebSocket and HTTP.
EXAMPLE_ADDRESS = "localhost:8000"

BLOCK = re.compile(
    r"^```python(?: (?P<mark>[a-z-]+))?\n(?P<source>.*?)^```\n"
    r"(?:\n```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
RUNS = re.compile(r"\b(anyio|asyncio|trio)\.run\(|^from anygql\.blocking import", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)(?P<target>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass
class Example:
    """A block of code in a page, with as many lines before it as the page has."""

    page: Path
    line: int
    mark: str
    source: str
    output: str | None

    @property
    def is_program(self) -> bool:
        return self.mark == "run" or (not self.mark and RUNS.search(self.source) is not None)


def examples() -> list[Example]:
    found: list[Example] = []
    for page in PAGES:
        if page in RUN_ELSEWHERE:
            continue
        text = page.read_text(encoding="utf-8")
        for match in BLOCK.finditer(text):
            line = text[: match.start("source")].count("\n")
            source = "\n" * line + match["source"]
            found.append(Example(page, line, match["mark"] or "", source, match["output"]))
    return found


def name(example: Example) -> str:
    page = example.page.relative_to(ROOT).as_posix().removeprefix("docs/")
    return f"{page}:{example.line}"


EXAMPLES = examples()
PROGRAMS = [example for example in EXAMPLES if example.is_program]
RECIPES = [
    example
    for example in PROGRAMS
    # Django runs on asyncio alone.
    if example.page.parent.name == "recipes" and example.page.stem != "django"
]
SERVERS = [example for example in EXAMPLES if example.mark == "server"]


@asynccontextmanager
async def example_server() -> AsyncGenerator[str]:
    """The address of the server that most examples talk to."""
    async with GraphQLServer(demo_schema()) as server:
        yield urlsplit(await server.listen()).netloc


#: Pages whose programs talk to another server: what they call it, and what runs it.
STAND_INS = {DOCS / "recipes" / "github.md": (github.SHOWN, github.github)}


async def check_program(example: Example, source: str, forker: Forker) -> None:
    shown, stand_in = STAND_INS.get(example.page, (EXAMPLE_ADDRESS, example_server))
    async with stand_in() as real:
        source = source.replace(shown, real)
        run = partial(forker.run, source, str(example.page), GITHUB_TOKEN=github.TOKEN)
        done = await anyio.to_thread.run_sync(run)
    assert done.stderr == ""
    assert done.returncode == 0
    if example.output is not None:
        assert done.stdout.replace(real, shown).splitlines() == example.output.splitlines()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # the example says what runs it
@pytest.mark.parametrize("example", PROGRAMS, ids=name)
async def test_program(example: Example, anyio_backend: str, forker: Forker) -> None:
    await check_program(example, example.source, forker)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("example", RECIPES, ids=name)
async def test_recipe_under_trio(example: Example, anyio_backend: str, forker: Forker) -> None:
    source = example.source.replace("anyio.run(main)", 'anyio.run(main, backend="trio")')
    assert source != example.source
    await check_program(example, source, forker)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("example", SERVERS, ids=name)
async def test_server(example: Example, anyio_backend: str, tmp_path: Path) -> None:
    assert "port=8000" in example.source
    file = tmp_path / "server.py"
    file.write_text(example.source.replace("port=8000", "port=0"), encoding="utf-8")
    async with await anyio.open_process([sys.executable, "-u", str(file)], stderr=None) as process:
        try:
            assert process.stdout is not None
            with anyio.fail_after(30):
                url = (await process.stdout.receive()).decode().strip()
                async with Client(url) as session:
                    assert await session.execute("{ hello }") == {"hello": "Hello world!"}
        finally:
            process.kill()


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_names(example: Example) -> None:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
    tree = compile(example.source, str(example.page), "exec", flags=flags)
    compile(tree, str(example.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("anygql"):
            module = importlib.import_module(node.module or "")
            assert all(hasattr(module, alias.name) for alias in node.names)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made where Markdown is shown."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in HEADING.findall(text)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links(page: Path) -> None:
    for match in LINK.finditer(page.read_text(encoding="utf-8")):
        target = page.parent / match["target"] if match["target"] else page
        assert target.exists(), match[0]
        if match["anchor"]:
            assert match["anchor"] in anchors(target), match[0]


def test_each_page_is_in_the_nav_of_the_site() -> None:
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    named = re.findall(r"[ :]([\w/-]+\.md)$", nav, re.MULTILINE)
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    assert sorted(named) == sorted([*pages, "changelog.md"])  # which is made of CHANGELOG.md


@pytest.mark.parametrize(
    "module",
    [
        *("anygql", "anygql.testing", "anygql.schema", "anygql.codegen", "anygql.protocols"),
        "anygql.appsync",
    ],
    ids=str,
)
def test_each_public_name_is_in_the_reference(module: str) -> None:
    pages = [page.read_text(encoding="utf-8") for page in sorted(REFERENCE.glob("*.md"))]
    shown = re.findall(r"^::: ([\w.]+)$", "\n".join(pages), re.MULTILINE)
    assert len(shown) == len(set(shown))
    names = {name.rpartition(".")[2]: name.rpartition(".")[0] for name in shown}
    for name in importlib.import_module(module).__all__:
        # What can be imported from two modules is shown once.
        assert names.get(name) in {module, "anygql", "anygql.schema"}, name


#: What a user makes no instance of.
MADE_BY_OTHERS = {
    "Cassettes",
    "MemoryStream",
    "Pages",
    "PeerConnection",
    "ServerConnection",
    "Session",
    "SharedSubscription",
    "Subscription",
}
#: What is no parameter to a user: `mistaken` is there for its message; protocols have `args`.
NOT_DESCRIBED = {"self", "mistaken", "options", "args", "kwargs"}
#: Words by which a docstring says that another describes the parameters.
ELSEWHERE = re.compile(r"\b(?:[Aa]rguments .*those of|[Aa]s for|[Ss]ee) ``|as ``\w+\(\)`` does")


def documented(module: str) -> Iterator[tuple[str, Callable[..., object], str]]:
    """The functions, classes and methods that the reference shows, each with its docstring."""
    for name in importlib.import_module(module).__all__:
        public = getattr(importlib.import_module(module), name)
        if inspect.isfunction(public):
            yield name, public, public.__doc__ or ""
        if not inspect.isclass(public) or not public.__module__.startswith("anygql"):
            continue
        if name not in MADE_BY_OTHERS and "__init__" in vars(public):
            yield name, public.__init__, public.__doc__ or ""
        for method, function in vars(public).items():
            if inspect.isfunction(function) and not method.startswith("_"):
                yield f"{name}.{method}", function, function.__doc__ or ""


@pytest.mark.parametrize(
    "module", ["anygql", "anygql.testing", "anygql.codegen", "anygql.appsync"], ids=str
)
def test_each_parameter_is_described(module: str) -> None:
    lacking = []
    for name, function, doc in documented(module):
        names = set(inspect.signature(function).parameters) - NOT_DESCRIBED
        unnamed = sorted(each for each in names if not re.search(rf"\b{each}\b", doc))
        if unnamed and not ELSEWHERE.search(doc):
            lacking.append((name, unnamed))
    assert lacking == []


@pytest.mark.parametrize("page", sorted(REFERENCE.glob("[!i]*.md")), ids=lambda page: page.stem)
def test_each_page_of_the_reference_lists_what_it_shows(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    shown = re.findall(r"^::: ([\w.]+)$", text, re.MULTILINE)
    names = [name.rpartition(".")[2] for name in shown]
    assert re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE) == names
    (row,) = [
        line
        for line in (REFERENCE / "index.md").read_text(encoding="utf-8").splitlines()
        if f"]({page.name})" in line
    ]
    assert re.findall(r"`(\w+)`", row) == names
    for whole in shown:
        module, _, name = whole.rpartition(".")
        assert hasattr(importlib.import_module(module), name), whole


#: What others say, as the messages on the page quote it: systems, TLS, HTTP, servers.
FOREIGN = (
    "Connection refused",
    "Name or service not known",
    "CERTIFICATE_VERIFY_FAILED",
    "Cannot return null for non-nullable field Subscription.",
    "Unauthorized",
    "Forbidden",
    "operation",  # which may have a name
    "no answer for",  # or "no connection for"
    "is not given",  # or "are"
)


def test_the_messages_in_troubleshooting_are_ours() -> None:
    modules = sorted((ROOT / "anygql").rglob("*.py"))
    source = "\n".join(module.read_text(encoding="utf-8") for module in modules)
    source = re.sub(r'"\n\s*f?"', "", source).replace("`", "")
    page = (DOCS / "recipes" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^### (`.*)$", page, re.MULTILINE)
    assert len(messages) >= 30
    unknown = []
    for message in messages:
        text = message.split("`")[1]
        for foreign in FOREIGN:
            text = text.replace(foreign, "…")
        parts = [part.strip(" ():'") for part in re.split(r"<[^>]*>|…|: |\b\d+\b", text)]
        unknown += [(message, part) for part in parts if len(part) > 3 and part not in source]
    assert unknown == []


def test_the_badges_say_what_pyproject_says() -> None:
    images = DOCS / "images"
    made = runpy.run_path(str(images / "badges.py"))
    badges = made["badges"]()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"badge-(\w+)\.svg", readme) == list(badges)
    for name, badge in badges.items():
        drawn = (images / f"badge-{name}.svg").read_text(encoding="utf-8")
        assert drawn == made["drawn"](*badge), "make pictures"


def test_the_tree_of_errors_is_the_module_s() -> None:
    import anygql.exceptions

    tree = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    names = re.findall(r"^[│├└─ ]*([A-Z]\w+)", tree.split("```")[1], re.MULTILINE)
    exported = {name for name in anygql.exceptions.__all__ if name[0].isupper()}
    assert set(names) == exported


def test_what_is_tried_in_part_is_listed() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    listed = page.partition("## What `make test` tries of it")[2].partition("\n## ")[0]
    in_part = re.compile(r" if EVERYTHING else |mark\.(sampled|one_socket)\b")
    files = [path for path in sorted((ROOT / "tests").rglob("test_*.py")) if path != Path(__file__)]
    found = [path for path in files if in_part.search(path.read_text(encoding="utf-8"))]
    names = [path.relative_to(ROOT).as_posix() for path in found]
    assert len(names) >= 10
    assert [name for name in names if f"`{name}`" not in listed] == []


def test_there_are_examples() -> None:
    assert len(PROGRAMS) >= 15
    assert len(SERVERS) == 1
