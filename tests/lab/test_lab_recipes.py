"""Recipes of docs/recipes.md on the whole system: pasted, applied with the command, seen from outside, taken back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tailwart.environment import Account, Environment
from tests.documentation import recipes
from tests.lab import outside
from tests.lab.deploying import said

pytestmark = pytest.mark.leaves_deployed

HEADINGS = (
    "Catch-all",
    "The largest message",
    "The lowest TLS version",
    "Who may use the plain password, and from where",
)
Tailwart = Callable[..., str]


@pytest.fixture(scope="module")
def tailwart(lab_environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Tailwart:
    """The command in a folder with group data of its own."""
    folder = tmp_path_factory.mktemp("recipes")
    (folder / "group_data").mkdir()

    def run(*words: str, group_data: str | None = None) -> str:
        if group_data is not None:
            (folder / "group_data" / "mailbox.py").write_text(group_data)
        return said(lab_environment, *words, cwd=folder)

    return run


@pytest.fixture
def applied(deployed: Path, environment: Environment, tailwart: Tailwart) -> Iterator[None]:
    """The recipes in force: together, for each apply that touches a listener restarts Stalwart."""
    chosen = [recipes()[heading] for heading in HEADINGS]
    paste, back = (
        "\n".join(texts).replace("example.org", environment.domain)
        for texts in ([recipe.paste for recipe in chosen], [recipe.back for recipe in chosen])
    )
    tailwart("settings", "apply", "--yes", group_data=paste)
    assert "no changes" in tailwart("settings", "plan")
    yield
    tailwart("settings", "apply", "--yes", group_data=back)


def test_recipes_act_through_the_edge(
    applied: None, environment: Environment, account: Account, tailwart: Tailwart
) -> None:
    user, password = f"{account.name}@{environment.domain}", account.password.get_secret_value()
    assert account.name == "alice"
    assert outside.tls_version(993, "TLSv1_2") == "", "TLS 1.2 is below the floor for clients"
    assert outside.tls_version(993, "TLSv1_3") == "TLSv1.3"
    made = tailwart("account", "app-password", "add", account.name, "phone", "--json")
    app_password = json.loads(made)["password"]
    try:
        token = outside.mail_in(f"nobody-has-this@{environment.domain}")
        assert outside.read_back(user, app_password, token)["Subject"] == f"lab {token}", "the catch-all, over IMAP"
        with pytest.raises(AssertionError, match=r"AUTHENTICATIONFAILED|Authentication"):
            outside.client(do="fetch", host="198.51.100.11", user=user, password=password, token=token)
        big = outside.letter(outside.OUTSIDE_USER, user, "big") + ("x" * 76 + "\r\n") * 140_000
        with pytest.raises(AssertionError, match="Message too big"):
            outside.client(
                do="send", host="198.51.100.11", port=25, sender=outside.OUTSIDE_USER, recipient=user, message=big
            )
    finally:
        tailwart("account", "app-password", "revoke", account.name, "phone")
