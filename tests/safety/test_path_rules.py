"""Is every usual path of CI, migrations, infrastructure, dependencies and team files known by itself?"""

from __future__ import annotations

import pytest

from crews.safety.path_rules import categories

CI = """
    .github/workflows/test.yml .github/workflows/nested.yaml .github/actions/build/action.yml action.yml
    .github/dependabot.yml .github/actions/build/index.js .gitlab-ci.yml .gitlab/ci/build.gitlab-ci.yml
    ci/templates/deploy.gitlab-ci.yml .gitlab/merge_request_templates/x.md .circleci/config.yml
    .circleci/setup.sh azure-pipelines.yml azure-pipelines/release.yaml .azure-pipelines/build.yml
    .azuredevops/pipelines/ci.yml azure-pipelines.nightly.yml .pipelines/build.yaml Jenkinsfile
    Jenkinsfile.nightly jenkins/Jenkinsfile.deploy deploy.Jenkinsfile jenkins/pipeline.groovy
    vars/build.jenkinsfile .jenkins/config.xml .buildkite/pipeline.yml .buildkite/hooks/pre-command .drone.yml
    .drone.star .drone.jsonnet .drone/build.yml .woodpecker.yml .woodpecker/lint.yaml
    .tekton/pull-request.yaml tekton/tasks/build.yaml tekton/pipelines/release.yaml .travis.yml appveyor.yml
    .appveyor.yml bitbucket-pipelines.yml cloudbuild.yaml cloudbuild.prod.yaml buildspec.yml
    buildspec-test.yml .cirrus.yml .cirrus.star .builds/alpine.yml .build.yml .semaphore/semaphore.yml
    .teamcity/settings.kts codefresh.yml .codefresh/x.yml wercker.yml screwdriver.yaml .zuul.yaml
    zuul.d/jobs.yaml .zuul.d/p.yaml .vela.yml .forgejo/workflows/a.yml .gitea/workflows/b.yaml
    .gitea/actions/x/action.yml .pre-commit-config.yaml .husky/pre-push .githooks/commit-msg lefthook.yml
    Earthfile dagger.json .dagger/main.go .goreleaser.yaml .releaserc.json release.config.js codemagic.yaml
    bitrise.yml ci_scripts/ci_post_clone.sh fastlane/Fastfile concourse/pipeline.yml ci/pipeline.yml
    ci/tasks/unit.yml .harness/pipeline.yaml bamboo-specs/bamboo.yml .taskcluster.yml .kokoro/build.sh
    .evergreen/config.yml evergreen.yml .packit.yaml .prow.yaml prow/jobs.yaml .ci/run .ci/Dockerfile
    ci/test.sh scripts/ci/build.sh .mergify.yml sonar-project.properties .golangci.yml .golangci.toml
    .pylintrc .eslintrc.json eslint.config.js .rubocop.yml ruff.toml .ruff.toml tox.ini noxfile.py codecov.yml
    .codecov.yml .coveragerc pytest.ini .bandit .semgrep.yml .gitleaks.toml .trivyignore .snyk .checkov.yml
    mypy.ini pyrightconfig.json .github/CODEOWNERS .github/settings.yml
"""
MIGRATION = """
    shop/migrations/0001_initial.py shop/migrations/__init__.py db/migrate/20240101120000_add_users.rb
    db/schema.rb db/structure.sql db/post_migrate/20240101_x.rb db/seeds.rb alembic.ini alembic/env.py
    alembic/versions/1a2b_x.py migrations/versions/3c_x.py migrations/env.py
    src/main/resources/db/migration/V1__init.sql db/V1.2.3__add_index.sql R__views.sql U2__undo.sql
    flyway.conf flyway.toml conf/flyway.conf db/changelog/db.changelog-master.yaml liquibase/001.xml
    db.changelog.xml liquibase.properties prisma/schema.prisma prisma/schema/user.prisma
    prisma/migrations/2024_init/migration.sql migration_lock.toml knexfile.js knexfile.ts
    db/migrations/20240101_x.js src/migrations/1700000000000-AddUser.ts ormconfig.json drizzle.config.ts
    drizzle/0000_x.sql Migrations/20240101120000_Init.cs Migrations/20240101120000_Init.Designer.cs
    Data/Migrations/AppDbContextModelSnapshot.cs App/AppDbContextModelSnapshot.cs
    database/migrations/2024_01_01_000000_create_users.php app/Migrations/Version20240101.php
    migrations/Version20240101120000.php phinx.php phinx.yml priv/repo/migrations/20240101_x.exs
    priv/repo/structure.sql migrations/000001_init.up.sql migrations/000001_init.down.sql
    db/migrations/0001.sql sql/schema.sql schema.sql db/20240101120000_x.sql supabase/migrations/1_x.sql
    hasura/migrations/default/1/up.sql sqitch.plan deploy/users.sql sqitch.conf atlas.hcl atlas.sum dbmate.yml
    diesel.toml migrations/2024-01-01_x/up.sql .sequelizerc conf/evolutions/default/1.sql
    play/conf/evolutions/2.sql migrate-mongo-config.js mikro-orm.config.ts typeorm.config.ts data-source.ts
    sea-orm/migration/src/m20240101_x.rs goose/00001_x.sql db/migration/afterMigrate.sql
    ent/migrate/migrations/2024.sql Projects/Db.dacpac x.sqlproj
"""
INFRASTRUCTURE = """
    main.tf modules/vpc/variables.tf prod.tfvars prod.auto.tfvars.json x.tf.json terraform.tfstate
    .terraform.lock.hcl terragrunt.hcl main.tofu packer/x.pkr.hcl Pulumi.yaml Pulumi.prod.yaml pulumi/index.ts
    cdk.json cdk/lib/stack.ts lib/x-stack.ts cdktf.json template.yaml samconfig.toml cloudformation/vpc.yml
    infra/network.yaml serverless.yml serverless.ts azuredeploy.json main.bicep main.bicepparam k8s/app.yaml
    kubernetes/ns.yaml manifests/x.yaml deploy/x.yaml app-deployment.yaml ingress.yaml base/statefulset.yaml
    configmap.yml service-account.yaml role-binding.yaml clusterrole.yaml networkpolicy.yaml cronjob.yaml
    namespace.yaml rbac.yaml Chart.yaml charts/web/values.yaml charts/web/templates/deployment.yaml
    values-prod.yaml helmfile.yaml helmfile.d/x.yaml helm/x.tpl kustomization.yaml overlays/prod/patch.yaml
    skaffold.yaml Tiltfile argocd/app.yaml argo/workflow.yaml flux/x.yaml gitops/x.yaml applicationset.yaml
    docker-compose.yml docker-compose.prod.yaml compose.yaml compose.override.yml Dockerfile Dockerfile.prod
    api.Dockerfile dev.dockerfile Containerfile .dockerignore docker/entrypoint.sh docker-entrypoint.sh
    docker-bake.hcl ansible.cfg ansible/site.yml playbooks/web.yml roles/web/tasks/main.yml
    roles/web/handlers/main.yml roles/web/meta/main.yml group_vars/all.yml host_vars/a.yml inventory/hosts
    inventory.ini hosts.ini flake.nix flake.lock default.nix shell.nix configuration.nix nixos/x.nix
    salt/top.sls pillar/x.sls puppet/x.pp Puppetfile cookbooks/x/recipes/default.rb Vagrantfile Procfile
    app.yaml fly.toml render.yaml vercel.json netlify.toml wrangler.toml railway.toml heroku.yml nginx.conf
    nginx/sites/a conf/nginx-prod.conf Caddyfile haproxy.cfg traefik.yml envoy.yaml httpd.conf .htaccess
    systemd/a.service x.timer x.socket prometheus.yml alertmanager.yml grafana/provisioning/x.yaml
    cloud-init.yaml crontab nomad/x.nomad .ebextensions/x.config .platform/hooks/x appspec.yml
    .devcontainer/devcontainer.json devcontainer.json crossplane/x.yaml openshift/x.yaml consul.hcl
    vault/policy.hcl bucket_policy.json iam-policy.json trust-policy.json task-definition.json ecs/x.json
"""
DEPENDENCIES = """
    requirements.txt requirements-dev.txt requirements/prod.in constraints.txt dev-constraints.txt setup.py
    setup.cfg pyproject.toml Pipfile Pipfile.lock poetry.lock uv.lock pdm.lock pylock.toml pylock.dev.toml
    environment.yml conda-lock.yml pixi.lock package.json package-lock.json npm-shrinkwrap.json yarn.lock
    pnpm-lock.yaml pnpm-workspace.yaml .npmrc .yarnrc.yml bun.lock bun.lockb deno.json deno.lock bower.json
    jsr.json importmap.json config/importmap.rb Gemfile Gemfile.lock gems.rb x.gemspec go.mod go.sum go.work
    vendor/modules.txt Cargo.toml Cargo.lock .cargo/config.toml rust-toolchain.toml pom.xml build.gradle
    build.gradle.kts settings.gradle gradle/libs.versions.toml gradle.lockfile
    gradle/wrapper/gradle-wrapper.properties gradle/verification-metadata.xml
    .mvn/wrapper/maven-wrapper.properties .mvn/extensions.xml build.sbt project/plugins.sbt
    project/Dependencies.scala composer.json composer.lock packages.config packages.lock.json
    Directory.Packages.props App.csproj App.fsproj NuGet.Config paket.dependencies paket.lock global.json
    mix.exs mix.lock pubspec.yaml pubspec.lock Package.swift Package.resolved Podfile Podfile.lock Cartfile
    x.podspec vcpkg.json conanfile.txt conanfile.py WORKSPACE MODULE.bazel MODULE.bazel.lock WORKSPACE.bazel
    third_party/x/BUILD rebar.config rebar.lock stack.yaml x.cabal cabal.project renv.lock DESCRIPTION
    Project.toml Manifest.toml deps.edn project.clj shard.yml shard.lock elm.json x.rockspec x.opam
    dune-project .gitmodules renovate.json .github/dependabot.yml .tool-versions .nvmrc .python-version
    mise.toml Brewfile cpanfile META.json flake.lock buf.lock buf.yaml
"""
TEAM_FILES = """
    agents.yaml team/tasks.yaml policy.yaml AGENTS.md CLAUDE.md sub/CLAUDE.md GEMINI.md .claude/settings.json
    .claude/commands/x.md .cursor/rules/x.mdc .cursorrules .windsurfrules .github/copilot-instructions.md
    .github/instructions/x.md .github/prompts/x.md .mcp.json mcp.json .codex/config.toml .aider.conf.yml
    CLAUDE.local.md .clinerules .roo/rules/x.md .continue/config.yaml SKILL.md
"""
ALL = {
    "ci": CI,
    "migration": MIGRATION,
    "infrastructure": INFRASTRUCTURE,
    "dependencies": DEPENDENCIES,
    "team_files": TEAM_FILES,
}
PLAIN = """
    src/main.py lib/app.rb cmd/server/main.go src/lib.rs web/index.html web/app.css src/App.tsx README.rst
    docs/guide.md docs/usage.txt src/emigrate.py src/immigration.go lib/migrant.rb src/circles.py
    src/jenkinson.c tests/test_shop.py src/decision.py src/deployable.py src/composer.py src/packages.go
    lib/package.rb src/workflow.py src/workflows.ts src/action.ts src/actions.rs src/service.go
    src/services/user.ts src/charting/chart.py src/values.rs src/template.py src/templates/base.html
    data/rows.csv assets/logo.svg src/agents.py src/tasks.rb lib/policy_text.c src/requirement.py
    src/lockfile.py src/hosts.go src/ingress_queue.c src/schema.py src/schema.ts src/pipeline.py src/task.go
    src/inventory.py src/roles.txt include/x.h kernel/sched.c po/de.po man/x.1
"""


@pytest.mark.parametrize(
    ("category", "path"),
    [(category, path) for category, paths in ALL.items() for path in paths.split()],
)
def test_a_usual_path_is_known(category: str, path: str) -> None:
    wanted = {category} if path not in _ELSEWHERE else {category, _ELSEWHERE[path]}

    for spelling in (path, f"services/web/{path}", f"./{path}", path.upper()):
        assert wanted & set(categories(spelling)), spelling


_ELSEWHERE = {
    ".github/dependabot.yml": "dependencies",
    ".github/CODEOWNERS": "permissions",
    "rbac.yaml": "permissions",
    "vault/policy.hcl": "secrets",
}
"""Paths that are as well, or rather, of another kind."""


@pytest.mark.parametrize("path", PLAIN.split())
def test_a_plain_path_is_not(path: str) -> None:
    assert not set(categories(path)) & set(ALL)
