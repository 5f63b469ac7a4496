"""What the documentation site does with pages that are written for any viewer of Markdown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

#: The mark of a block of code, by which the tests know what to do with it.
MARK = re.compile(r"^(```\w+) [a-z-]+$", re.MULTILINE)
#: A link to a file that is in the repository, and not on the site.
LINK_OUT = re.compile(r"\[([^\]]+)\]\((?:\.\./)+(?!docs/)[^)\s]*\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the changelog, which is at the top of the repository."""
    root = Path(config.config_file_path).parent
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8").replace("](docs/", "](")
    files.append(File.generated(config, "changelog.md", content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Take off the marks of blocks, and links out of the site."""
    return LINK_OUT.sub(r"\1", MARK.sub(r"\1", markdown))
