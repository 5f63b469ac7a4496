"""What the documentation site does with pages that are written for any viewer of Markdown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

#: The mark of a block of code, by which the tests know what to do with it.
MARK = re.compile(r"^(```\w+) [a-z-]+$", re.MULTILINE)
#: A link upwards: the text, and the way up.
LINK_UP = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+)(?!docs/)[^)\s]*\)")

#: What counts less in the search, so that the page that explains a thing comes before those that
#: mention it; and the page that a newcomer needs comes first.
WEIGHTS = {
    "getting-started.md": 4.0,
    "sessions.md": 2.0,
    "delivery.md": 2.0,
    "split.md": 1.5,
    "typed-results.md": 1.5,
    "appsync.md": 0.3,
    "phoenix.md": 0.4,
    "protocols.md": 0.4,
    "servers.md": 0.6,
    "blocking.md": 0.6,
    "codegen.md": 0.6,
    "recipes/credentials.md": 1.7,
    "recipes/deploying.md": 6.0,
    "recipes/github.md": 1.5,
    "recipes/limits.md": 0.4,
    "recipes/uploads.md": 1.3,
    "recipes/troubleshooting.md": 0.8,
    "reference/": 0.02,
    "from-gql.md": 1.0,
    "from-": 0.3,
    "changelog.md": 0.1,
    "contributing.md": 0.3,
    "design.md": 0.3,
    "reliability.md": 0.3,
}


def on_files(files: Files, config: Any) -> Files:
    """Add the changelog, which is at the top of the repository."""
    root = Path(config.config_file_path).parent
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8").replace("](docs/", "](")
    files.append(File.generated(config, "changelog.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Take off the marks of blocks, and links out of the site; say how much the page weighs."""
    for start, weight in WEIGHTS.items():
        if page.file.src_uri.startswith(start):
            page.meta["search"] = {"boost": weight}
            break
    depth = page.file.src_uri.count("/")

    def without_link_out(link: re.Match[str]) -> str:
        # Further up than the pages are, there are files of the repository, and not of the site.
        return link[1] if link[2].count("../") > depth else link[0]

    return LINK_UP.sub(without_link_out, MARK.sub(r"\1", markdown))
