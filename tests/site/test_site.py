"""The documentation site, as a reader sees it: `make docs-test` builds it and runs these."""

from __future__ import annotations

import functools
import json
import os
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import quote, urljoin, urlsplit

import pytest

from tests.site.browser import CHROMIUM, Page, browser
from tests.support.paths import ROOT

SITE = os.environ.get("ANYGQL_SITE")

pytestmark = [
    pytest.mark.skipif(not SITE, reason="no site was built for this run: `make docs-test`"),
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium (Debian: chromium)"),
]

#: What a newcomer asks, and what the first hit must be: a page, and the first part of it that is
#: shown below, if the answer is in one part.
QUESTIONS = {
    "how do I run a query and a mutation": "getting-started/#a-query-and-a-mutation",
    "how do I get the events of a subscription": "getting-started/#a-subscription-and-its-events",
    "my token expires": "recipes/credentials/",
    "upload a file with a progress bar": "recipes/uploads/",
    "automatic reconnect": "sessions/",
    "is my mutation sent again": "sessions/",
    "nginx timeout": "recipes/deploying/",
    "pytest fixtures": "recipes/pytest/",
    "slow consumer": "delivery/",
    "FastAPI": "recipes/fastapi/",
    "logging": "recipes/logging/",
    "OpenTelemetry": "tracing/",
    "connection was lost without a close frame": "recipes/troubleshooting/",
    "custom scalars": "schema/",
    "how to send an authorization header": "getting-started/#http-and-a-token",
    "use with trio": "getting-started/#use-it-with-trio",
    "set a timeout for a query": "getting-started/#timeouts-and-canceling-a-query",
    "read a list page by page": "pages/",
    "GitHub rate limit": "recipes/github/",
    "query cost": "throttle/",
    "use it in a Jupyter notebook": "recipes/jupyter/",
    "is there a synchronous client": "blocking/",
    "send a file": "recipes/uploads/",
    "many processes one subscription Redis": "recipes/redis/",
    "pydantic models as results": "typed-results/",
    "what happens when the server restarts": "sessions/"
    "#what-happens-when-the-server-restarts-or-the-connection-is-lost",
    "how fast is it compared to gql": "performance/",
    "download the schema": "schema/#where-it-comes-from",
    "generate code from queries": "codegen/",
    "retry policy": "sessions/#retry-policies",
    "queries over HTTP and subscriptions over WebSocket": "split/",
    "mock server in tests": "testing/",
    "dataclass": "typed-results/",
    "migrate from gql": "from-gql/",
    "connection refused": "recipes/troubleshooting/",
    "load balancer closes connection": "recipes/deploying/",
    "stop a subscription": "getting-started/#a-subscription-and-its-events",
    "self-signed certificate": "recipes/deploying/#certificates",
    "AWS AppSync api key": "appsync/",
    "Absinthe subscriptions": "phoenix/",
    "write my own protocol": "protocols/",
}


class Site(NamedTuple):
    """The site, served on loopback, and a page to look at it with."""

    url: str
    page: Page


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    handler = functools.partial(_Handler, directory=str(ROOT / (SITE or "")))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with browser(tmp_path_factory.mktemp("chromium")) as connection:
                yield Site(f"http://127.0.0.1:{server.server_port}/", Page(connection))
        finally:
            server.shutdown()
            thread.join()


def pages() -> list[str]:
    """The addresses of all pages, below the site's own."""
    folder = ROOT / (SITE or "")
    found = (path.relative_to(folder).as_posix() for path in sorted(folder.rglob("index.html")))
    return [path.removesuffix("index.html") for path in found]


def test_every_page_is_whole_and_asks_no_other_host(site: Site) -> None:
    page = site.page
    assert len(pages()) >= 30
    for path in pages():
        page.open(site.url + path)
        assert page.evaluate("document.querySelector('h1').textContent")
        broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        assert page.evaluate(broken) == [], path
    assert page.complaints == []
    asked = {urlsplit(url).netloc for url in page.requests if not url.startswith("data:")}
    assert asked == {urlsplit(site.url).netloc}


def test_every_link_in_the_navigation_leads_to_a_page(site: Site) -> None:
    site.page.open(site.url)
    links = site.page.evaluate(
        "[...document.querySelectorAll('.md-nav__link[href]')].map(a => a.href)"
    )
    paths = {link.partition("#")[0].removeprefix(site.url) for link in links}
    assert paths == set(pages())


def test_a_click_leads_on(site: Site) -> None:
    site.page.open(site.url)
    site.page.evaluate("document.querySelector('article a[href*=getting-started]').click()")
    assert site.page.wait_for(
        "document.querySelector('h1')?.textContent.includes('Getting started')"
    )


def test_a_page_of_a_folder_links_to_other_pages_and_to_no_file_beside_the_site(
    site: Site,
) -> None:
    site.page.open(f"{site.url}recipes/fan-out/")
    links = "[...document.querySelectorAll('article a[href]')].map(a => a.href)"
    found = {link.partition("#")[0] for link in site.page.evaluate(links)}
    assert f"{site.url}sharing/" in found
    assert f"{site.url}recipes/redis/" in found
    assert not [link for link in found if "examples/" in link]


def search(site: Site, question: str) -> list[str]:
    """Type a question into the search box; return where the hits lead, best first."""
    page = site.page
    page.open(site.url)
    page.wait_for("!!document.querySelector('.md-search__input')")
    page.evaluate(
        f"""(() => {{
            const box = document.querySelector('.md-search__input');
            box.focus();
            box.value = {json.dumps(question)};
            box.dispatchEvent(new KeyboardEvent('keyup', {{bubbles: true}}));
        }})()"""
    )
    links = "[...document.querySelectorAll('.md-search-result__link')].map(a => a.href)"
    hits = page.wait_for(f"(links => links.length && links)({links})")
    return [urljoin(site.url, hit).partition("?")[0] + _anchor(hit) for hit in hits]


def _anchor(link: str) -> str:
    fragment = urlsplit(link).fragment
    return f"#{fragment}" if fragment else ""


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: quote(question))
def test_the_first_hit_answers(site: Site, question: str) -> None:
    hits = [hit.removeprefix(site.url) for hit in search(site, question)]
    page, _, part = QUESTIONS[question].partition("#")
    assert hits[0] == page, hits[:6]
    if part:
        assert hits[1] == f"{page}#{part}", hits[:6]
