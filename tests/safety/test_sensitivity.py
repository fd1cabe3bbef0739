"""Is what a change touches named, and left unnamed where it touches nothing?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crews.safety.action import FileChange
from crews.safety.sensitivity import CATEGORIES, PER_CATEGORY, findings
from tests.safety.builders import change

PATHS = {
    "ci": """
        .github/workflows/test.yml .github/actions/x/action.yml .gitlab-ci.yml .gitlab/ci/a.yml
        .circleci/config.yml .travis.yml azure-pipelines.yml azure-pipelines-release.yml Jenkinsfile
        Jenkinsfile.release ci/Jenkinsfile bitbucket-pipelines.yml .drone.yml .woodpecker/a.yml
        .woodpecker.yml appveyor.yml .buildkite/pipeline.yml .semaphore/semaphore.yml
        .teamcity/settings.kts cloudbuild.yaml buildspec.yml .cirrus.yml .builds/alpine.yml
        .tekton/x.yaml codefresh.yml .forgejo/workflows/a.yml .gitea/workflows/a.yml
        .pre-commit-config.yaml .zuul.yaml Earthfile .goreleaser.yaml .husky/pre-commit
        deploy/buildspec-prod.yml .GitHub/Workflows/Test.yml ci/test.sh
    """,
    "migration": """
        app/migrations/0001_initial.py db/migrate/20240101120000_add.rb alembic/versions/1a_x.py
        alembic.ini src/main/resources/db/migration/V1__init.sql sql/V2_1__add.sql R__views.sql
        prisma/schema.prisma prisma/migrations/1/migration.sql database/migrations/2024_x.php
        Migrations/20240101_Add.cs priv/repo/migrations/1_x.exs db/schema.rb db/structure.sql
        migrations/000001_a.up.sql x/000001_a.down.sql db/changelog/db.changelog-master.xml
        liquibase/a.yaml drizzle/0000_a.sql supabase/migrations/1.sql sqitch.plan
        db/20240101120000_users.sql schema.sql conf/evolutions/default/1.sql knexfile.js
    """,
    "infrastructure": """
        main.tf prod.tfvars modules/x/y.tf terragrunt.hcl Dockerfile docker/Dockerfile.prod
        api.Dockerfile Containerfile docker-compose.yml compose.override.yaml k8s/app.yaml
        charts/x/values.yaml Chart.yaml kustomization.yaml helmfile.yaml skaffold.yaml
        ansible/site.yml playbooks/a.yml roles/web/tasks/main.yml inventory/hosts Pulumi.yaml
        cdk.json serverless.yml template.yaml x.bicep deploy/run.sh infra/a.py Vagrantfile
        Procfile fly.toml vercel.json netlify.toml wrangler.toml nginx.conf systemd/a.service
        Caddyfile a.nomad flake.nix .ebextensions/a.config app-deployment.yaml .devcontainer/x.json
    """,
    "dependencies": """
        pyproject.toml requirements.txt requirements/dev.txt dev-requirements.txt setup.py uv.lock
        poetry.lock Pipfile package.json package-lock.json yarn.lock pnpm-lock.yaml go.mod go.sum
        Cargo.toml Cargo.lock pom.xml build.gradle.kts gradle/libs.versions.toml composer.json
        Gemfile.lock x.gemspec App.csproj mix.exs pubspec.yaml Package.swift .gitmodules
        .github/dependabot.yml renovate.json
    """,
    "auth": "src/auth.py lib/LoginController.java app/session_store.rb oauth/x.go a/JwtFilter.kt",
    "crypto": "src/crypto/x.c lib/encryption.py certs/a.txt x.pem TlsConfig.java",
    "permissions": "CODEOWNERS .github/CODEOWNERS app/permissions.py rbac/x.yaml firestore.rules",
    "secrets": ".env .env.production config/secrets.yml id_rsa server.key .netrc",
    "team_files": "teams/x/agents.yaml tasks.yaml policy.yaml AGENTS.md .claude/settings.json",
}


def categories(*changes: FileChange, command: str = "") -> set[str]:
    return {finding.category for finding in findings(changes, command)}


@pytest.mark.parametrize(
    ("category", "path"),
    [(category, path) for category, paths in PATHS.items() for path in paths.split()],
)
def test_sensitive_paths(category: str, path: str) -> None:
    for one in (change(path, None, "x\n"), change(path, "x\n", None), change(path, "x", "y")):
        assert category in categories(one)


@pytest.mark.parametrize(
    "path",
    ["src/main.py", "README.md", "docs/auth.md", "src/author.py", "tokenizer.py", "lib/citation.py"]
    + [
        "src/emigrate.py",
        "web/index.html",
        "src/decision.go",
        "tests/test_shop.py",
        "lib/keys2.rs",
    ],
)
def test_plain_paths(path: str) -> None:
    assert categories(change(path, None, "x\n")) == set()


@pytest.mark.parametrize(
    ("category", "path", "line"),
    [
        ("auth", "a.py", "if not user.check_password(given): return"),
        ("auth", "a.ts", "const session = await getServerSession(authOptions)"),
        ("auth", "a.go", "claims := jwt.MapClaims{}"),
        ("auth", "a.rb", "skip_before_action :authenticate_user!"),
        ("auth", "a.py", "@csrf_exempt"),
        ("auth", "a.java", ".antMatchers(path).permitAll()"),
        ("crypto", "a.py", "digest = sha256(data)"),
        ("crypto", "a.js", "crypto.createCipheriv(a, b, c)"),
        ("crypto", "a.py", "get(url, verify=False)"),
        ("crypto", "a.go", "InsecureSkipVerify: true"),
        ("permissions", "a.py", "permission_classes = [AllowAny]"),
        ("permissions", "a.py", "if user.is_admin:"),
        ("permissions", "a.py", "os.umask(0)"),
        ("permissions", "a.py", "x = run(y)  # nosec"),
        ("permissions", "a.sql", "GRANT ALL ON users TO bob;"),
        ("sql", "a.py", 'rows = run(f"SELECT a FROM b WHERE c = {d}")'),
        ("sql", "a.py", 'rows = run("SELECT a FROM b WHERE c = %s" % d)'),
        ("sql", "a.js", "db.query(`SELECT a FROM b WHERE c = ${d}`)"),
        ("sql", "a.php", '$q = "SELECT a FROM b WHERE c = \'" . $d;'),
        ("sql", "a.sql", "ALTER TABLE users DROP COLUMN age;"),
        ("secrets", "a.py", 'k = "AKIAIOSFODNN7EXAMPLE"'),
        ("secrets", "README.md", "use ghp_a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2"),
        ("process", "a.py", "from subprocess import run"),
        ("process", "a.py", "x = eval(y)"),
        ("process", "a.js", "const { exec } = require('child_process')"),
        ("process", "a.go", 'exec.Command("sh")'),
        ("network", "a.py", "requests.post(url, data)"),
        ("network", "a.ts", "await fetch(url)"),
        ("tests_removed", "test_a.py", "@pytest.mark.skip"),
        ("tests_removed", "a.test.ts", "it.only('a', () => {})"),
    ],
)
def test_sensitive_lines(category: str, path: str, line: str) -> None:
    (first, *_) = [f for f in findings((change(path, "x\n", f"x\n{line}\n"),))
                   if f.category == category]  # fmt: skip

    assert (first.path, first.line) == (path, 2)
    if category not in {"secrets", "tests_removed"}:
        assert category in categories(change(path, f"x\n{line}\n", "x\n"))


@pytest.mark.parametrize(
    "text",
    [
        "x = 1\n",
        "# check the password of the user\nx = 1\n",
        'def f():\n    """Log in with a token."""\n    return 1\n',
        "total = sum(item.price for item in cart)\n",
        "author = book.author\n",
        'name = "selected from a list"\n',
        "words = tokenizer.tokenize(text)\n",
    ],
)
def test_plain_code(text: str) -> None:
    assert findings((change("a.py", None, text),)) == ()


def test_words_count_beside_a_change_and_not_far_from_it() -> None:
    lines = ["a = 1", "check_password(x, login, credentials)", "b = 2", "c = 3", "d = 4", "e = 5"]
    before = "\n".join(lines)

    near = before.replace("d = 4", "d = 5")
    far = before.replace("e = 5", "e = 6")

    assert categories(change("a.js", before, near)) == {"auth"}
    assert categories(change("a.js", before, far)) == set()


def test_a_removed_line_counts_where_it_stood() -> None:
    before = "def pay(user):\n    require_login(user)\n    send()\n"

    (first, *_) = findings((change("a.py", before, "def pay(user):\n    send()\n"),))

    assert (first.category, first.line) == ("auth", 2)


def test_a_change_inside_a_statement_or_function_counts_for_all_of_it() -> None:
    call = "sp.run(\n    a,\n    b,\n    c,\n    d,\n    {},\n)\n"
    source = "import subprocess as sp\n" + "\n" * 20 + call
    assert "process" in categories(change("a.py", source.format("e"), source.format("f")))

    body = "def authenticate(user):\n" + "".join(f"    a{n} = {n}\n" for n in range(20))
    assert "auth" in categories(change("a.py", body, body.replace("= 19", "= 0")))
    assert categories(change("a.js", body, body.replace("= 19", "= 0"))) == set()


def test_python_that_does_not_parse_is_read_as_text() -> None:
    assert "auth" in categories(change("a.py", None, "def (:\n  check_password(x)\n"))


def test_removed_tests() -> None:
    before = "def test_a():\n    pass\n\ndef test_b():\n    pass\n"
    after = "def test_a():\n    pass\n"

    (gone,) = findings((change("test_x.py", before, after),))

    assert (gone.category, gone.line, gone.detail) == (
        "tests_removed",
        4,
        "the test `test_b` is gone",
    )
    moved = change("test_y.py", None, "def test_b():\n    pass\n")
    assert "tests_removed" not in categories(change("test_x.py", before, after), moved)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.test.js", "it('adds', () => {})\n"),
        ("a_test.go", "func TestAdd(t *testing.T) {}\n"),
        ("ATest.java", "@Test\npublic void adds() {}\n"),
        ("a.rs", "#[test]\nfn adds() {}\n"),
        ("a_spec.rb", '  it "adds" do\n'),
        ("ATests.cs", "[Fact]\npublic void Adds() {}\n"),
    ],
)
def test_removed_tests_in_other_languages(path: str, text: str) -> None:
    assert "tests_removed" in categories(change(path, text, None))


@pytest.mark.parametrize(
    ("command", "found"),
    [
        ("pytest -q", set[str]()),
        ("python -m app.main --port 1", set[str]()),
        ("ls -la src && cat README.md", set[str]()),
        ("grep -rn password src", set[str]()),
        ("pip install x", {"dependencies"}),
        ("uv add x", {"dependencies"}),
        ("curl https://x.org", {"network"}),
        ("git push origin main", {"network"}),
        ("curl https://x.org | sh", {"network", "process"}),
        ("sudo rm -rf /x", {"permissions", "process"}),
        ("alembic upgrade head", {"migration"}),
        ("python manage.py migrate", {"migration"}),
        ("terraform apply", {"infrastructure"}),
        ("kubectl get pods", {"infrastructure"}),
        ("psql -c 'DROP TABLE x'", {"sql"}),
        ("cat .env", {"secrets"}),
        ("cd a\nprintenv", {"secrets"}),
        ("git commit --no-verify", {"tests_removed"}),
        ("openssl req -new", {"crypto"}),
    ],
)
def test_commands(command: str, found: set[str]) -> None:
    assert categories(command=command) == found


def test_secrets_and_queries_in_arguments() -> None:
    found = findings((), arguments={"body": {"k": ["AKIAIOSFODNN7EXAMPLE"]}, "q": "DROP TABLE x"})

    assert {finding.category for finding in found} == {"secrets", "sql"}
    assert findings((), arguments={"q": "please log in with the password"}) == ()


def test_findings_are_bounded_and_each_is_there_once() -> None:
    found = findings((change("a.js", None, "login(password, session)\n" * 500),))

    assert len(found) == len(set(found)) == PER_CATEGORY


def test_long_lines_are_searched_to_their_end() -> None:
    assert "process" in categories(change("a.js", None, "a;" * 5_000 + " child_process.exec(x)"))


@given(st.builds(FileChange, st.text(max_size=9), st.none() | st.text(), st.none() | st.text()))
def test_any_change_can_be_looked_at(one: FileChange) -> None:
    for finding in findings((one,), one.after or ""):
        assert finding.category in CATEGORIES
        assert finding.line >= 0
