"""Are the owners of a path those that GitHub and GitLab would name?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.safety.owners import UNREADABLE, Dialect, parse
from crews.safety.policy import judge
from crews.safety.stating import owned
from crews.teams.spec import Match
from tests.safety.builders import change, policy, rule, standing, write

GITHUB = """
# a comment, as in GitHub's own manual
*       @global-owner1 @global-owner2
*.js    @js-owner #This is an inline comment.
*.go docs@example.com
*.txt @octo-org/octocats
/build/logs/ @doctocat
docs/*  docs@example.com
apps/ @octocat
/docs/ @doctocat
/scripts/ @doctocat @octocat
**/dumps @octocat
/apps/ @octocat
/apps/github
with\\ space/ @spacer
"""

GITLAB = """
* @default
[Documentation] @docs-team
docs/
README.md @writer
[Database][2] @database-team
model/db/
config/db/database-setup.md @docs-team
^[Security] @sec-a @@maintainer
*.key
/lib/auth.rb
!vendored/*.key
[documentation]
*.rst
"""


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("a.py", "@global-owner1 @global-owner2"),
        ("x/a.js", "@js-owner"),
        ("x/a.go", "docs@example.com"),
        ("build/logs/x/y.c", "@doctocat"),
        ("x/build/logs/y.c", "@global-owner1 @global-owner2"),
        ("docs/getting-started.md", "@doctocat"),
        ("x/docs/a.c", "@global-owner1 @global-owner2"),
        ("x/apps/a/b.c", "@octocat"),
        ("scripts/a", "@doctocat @octocat"),
        ("deep/er/dumps/z", "@octocat"),
        ("apps/github", ""),
        ("apps/github/x.c", ""),
        ("with space/x.c", "@spacer"),
        ("APPS/x.c", "@octocat"),
        ("./x/../a.txt", "@octo-org/octocats"),
    ],
)
def test_owners_as_on_github(path: str, owners: str) -> None:
    assert " ".join(parse(GITHUB, "github").of(path)) == owners


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("a.c", "@default"),
        ("docs/a.md", "@default @docs-team"),
        ("x/docs/a.md", "@default @docs-team"),
        ("README.md", "@default @writer"),
        ("model/db/x.rb", "@default @database-team"),
        ("config/db/database-setup.md", "@default @docs-team"),
        ("x/a.key", "@default @sec-a @@maintainer"),
        ("vendored/a.key", "@default"),
        ("lib/auth.rb", "@default @sec-a @@maintainer"),
        ("x/lib/auth.rb", "@default"),
        ("a.rst", "@default"),
    ],
)
def test_owners_as_on_gitlab(path: str, owners: str) -> None:
    for dialect in ("gitlab", "github"):  # sections make it GitLab's wherever it lies
        assert " ".join(parse(GITLAB, dialect).of(path)) == owners


@pytest.mark.parametrize(
    ("line", "pattern", "hits", "passes"),
    [
        ("*", "docs/*", ["docs/a"], ["docs/a/b", "x/docs/a"]),
        ("*", "/docs/**", ["docs/a", "docs/a/b"], ["x/docs/a"]),
        ("*", "a/**/z", ["a/z", "a/b/c/z"], ["az", "a/b/zz"]),
        ("*", "a?c", ["abc", "x/abc/y"], ["ac", "a/c"]),
        ("*", "[ab].c", ["[ab].c"], ["a.c"]),
    ],
)
def test_globs(line: str, pattern: str, hits: list[str], passes: list[str]) -> None:
    owners = parse(f"{line} @all\n{pattern} @one\n", "github")

    assert all(owners.of(path) == ("@one",) for path in hits)
    assert all(owners.of(path) == ("@all",) for path in passes)


@pytest.mark.parametrize(
    ("owner", "sensitive"),
    [
        ("@org/security", True),
        ("@org/product-security-team", True),
        ("@org/AppSec", True),
        ("@org/identity-and-access", True),
        ("security@example.com", True),
        ("@org/team-auth", True),
        ("@org/kibana-security", True),
        ("@org/authors", False),
        ("@org/sectional-views", False),
        ("@org/frontend", False),
        ("@octocat", False),
    ],
)
def test_what_a_team_for_security_owns_is_sensitive(owner: str, sensitive: bool) -> None:
    found = owned(("src/a.c", "b.c"), parse(f"/src/ {owner}", "github"))

    assert [(f.category, f.path, f.line) for f in found] == [("owned", "src/a.c", 0)] * sensitive


def test_a_section_for_security_makes_its_paths_sensitive() -> None:
    assert owned(("x.key",), parse("[Security]\n*.key @ann\n", "gitlab"))


def test_rules_look_at_owners_and_the_verdict_names_them() -> None:
    where = replace(standing(), owners=parse("*.sql @org/dba\n/pay/ @org/payments\n", "github"))
    asks = policy(rule("dba", "ask", Match(owners=("@ORG/d*",))))

    verdict = judge(asks, write("db/a.sql"), where)
    other = judge(asks, write("pay/a.sql"), where)  # the last line that fits decides

    assert (verdict.rule, verdict.owners) == ("dba", ("@org/dba",))
    assert (other.ruling, other.owners) == ("allow", ("@org/payments",))


def test_a_loosening_rule_must_have_the_owner_of_every_path() -> None:
    where = replace(standing(), owners=parse("/docs/ @writers\n", "github"))
    open_ = policy(
        rule("free", "allow", Match(owners=("@writers",))), rule("no", "ask", Match(owners=("@x",)))
    )
    both = replace(write("docs/a"), changes=(change("docs/a", "x", "y"), change("src/b", "x", "y")))

    assert judge(open_, write("docs/a"), where).rule == "free"
    assert judge(open_, both, where).rule == "default-write"


def test_a_file_that_is_too_long_makes_all_of_it_owned() -> None:
    assert parse("a @b\n" * 1_000_000, "github").of("x/y") == (UNREADABLE,)


@given(st.text(), st.text(), st.sampled_from(["github", "gitlab"]))
def test_any_text_can_be_read_and_asked(text: str, path: str, dialect: Dialect) -> None:
    owners = parse(text, dialect)

    assert set(owners.guards(path)) <= set(owners.of(path))


lines = st.sampled_from(["a/ @x", "*.c @y", "a/b.c", "[s] @d", "^[t]", "!*.c", "x* @z", "#", ""])


@given(st.lists(lines, max_size=8), st.sampled_from(["a/b.c", "x.c", "q"]))
def test_the_last_line_that_fits_decides(before: list[str], path: str) -> None:
    owners = parse("\n".join((*before, "[last]", "* @end")), "gitlab")

    assert owners.of(path)[-1] == "@end"
