"""Which paths are sensitive by what they are? The tables of systems, and how a path is looked up.

Looked up in any case. For CI, migrations and infrastructure the aim is to miss no usual system, at
the price of more alarms. Words in paths (auth, crypto, permissions) are those of `content_rules`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from crews.safety.paths import folded
from crews.safety.patterns import compiled


@dataclass(frozen=True, slots=True)
class PathRule:
    """Paths of one kind: by whole name, by the name's ending, by folder, or by a pattern."""

    category: str
    names: frozenset[str] = frozenset()
    """Whole file names."""
    endings: tuple[str, ...] = ()
    """How the file name ends."""
    folders: tuple[str, ...] = ()
    """One folder name, or several in a row, anywhere above the file."""
    pattern: str = ""
    """Searched in the whole path."""

    def covers(self, path: str) -> bool:
        """Is the folded path of this kind?"""
        folder, _, name = path.rpartition("/")
        return (
            name in self.names
            or name.endswith(self.endings or ("\0",))
            or self._lies_in(f"/{folder}/")
            or (self.pattern != "" and compiled(self.pattern).search(path) is not None)
        )

    def _lies_in(self, above: str) -> bool:
        single, several = _sorted_out(self.folders)
        return not single.isdisjoint(above.split("/")) or any(row in above for row in several)


@lru_cache(maxsize=64)
def _sorted_out(folders: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Those of one name, and those of several, each between slashes."""
    single = frozenset(folder for folder in folders if "/" not in folder)
    return single, tuple(f"/{folder}/" for folder in folders if "/" in folder)


def categories(path: str) -> Iterator[str]:
    """The kinds that the path is of, in the order of the tables."""
    plain = folded(path)
    yield from (rule.category for rule in PATHS if rule.covers(plain))


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _parts(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PATHS: tuple[PathRule, ...] = (
    PathRule(
        "ci",
        names=_names(
            """
            .gitlab-ci.yml .gitlab-ci.yaml .travis.yml .travis.yaml bitbucket-pipelines.yml
            .drone.yml .drone.yaml .drone.star .drone.jsonnet appveyor.yml .appveyor.yml
            cloudbuild.yaml cloudbuild.yml cloudbuild.json buildspec.yml buildspec.yaml
            .cirrus.yml .cirrus.star .build.yml .builds.yml codefresh.yml wercker.yml
            screwdriver.yaml .zuul.yaml .zuul.yml .vela.yml .woodpecker.yml .woodpecker.yaml
            .prow.yaml .pre-commit-config.yaml .pre-commit-config.yml .pre-commit-hooks.yaml
            .goreleaser.yml .goreleaser.yaml .releaserc .releaserc.json release.config.js
            .scrutinizer.yml shippable.yml nevercode.yml codemagic.yaml bitrise.yml .bitrise.yml
            lefthook.yml lefthook.yaml earthfile dagger.json .lgtm.yml .mergify.yml jenkinsfile
            semaphore.yml action.yml action.yaml tekton.yaml .copr .packit.yaml .packit.yml
            taskcluster.yml .taskcluster.yml .sourcehut.yml xcode-cloud.yml
            sonar-project.properties evergreen.yml fastfile tox.ini noxfile.py .golangci.yml .golangci.yaml
            .golangci.toml .pylintrc ruff.toml .ruff.toml mypy.ini .mypy.ini pyrightconfig.json .flake8
            pytest.ini codecov.yml .codecov.yml .coveragerc .bandit .semgrep.yml .semgrepignore .gitleaks.toml
            .gitleaksignore .trivyignore .snyk .checkov.yml .checkov.yaml .tfsec.yml .hadolint.yaml .rubocop.yml
            .rubocop_todo.yml phpstan.neon phpstan-baseline.neon psalm.xml .phpcs.xml phpunit.xml clippy.toml
            .clang-tidy checkstyle.xml spotbugs.xml pmd.xml detekt.yml .credo.exs biome.json .yamllint
            .eslintrc .eslintignore .eslintrc.json .eslintrc.js .eslintrc.cjs .eslintrc.yml
            """
        ),
        endings=_parts(".gitlab-ci.yml .gitlab-ci.yaml .jenkinsfile .gocd.yaml .gocd.json"),
        folders=_parts(
            """
            .github/workflows .github/actions .gitea/workflows .forgejo/workflows .gitlab
            .circleci .buildkite .semaphore .teamcity .azure-pipelines .azuredevops
            azure-pipelines .woodpecker .builds .tekton bamboo-specs .harness zuul.d .zuul.d
            .husky .githooks .git-hooks concourse .jenkins jenkins jenkins-pipelines .ci .cirrus
            .codefresh fastlane prow tekton .vela .dagger ci_scripts .kokoro .evergreen .pipelines .drone
            """
        ),
        pattern=(
            r"(?:^|/)(?:azure-pipelines[^/]*\.ya?ml|jenkinsfile[^/]*|cloudbuild[^/]*\.(?:ya?ml|json)"
            r"|buildspec[^/]*\.ya?ml|\.?ci/(?:[^/]+/)*[^/]+\.(?:ya?ml|sh)|\.github/[^/]+\.ya?ml|eslint\.config\.[cm]?[jt]s"
            r"|(?:jest|vitest|playwright|cypress|karma)\.(?:conf|config)\.[cm]?[jt]s)$"
        ),
    ),
    PathRule(
        "migration",
        names=_names(
            """
            alembic.ini schema.prisma structure.sql schema.sql sqitch.plan sqitch.conf atlas.hcl
            flyway.conf flyway.toml liquibase.properties knexfile.js knexfile.ts
            drizzle.config.ts ormconfig.json ormconfig.js ormconfig.ts dbmate.yml diesel.toml
            migration_lock.toml atlas.sum mikro-orm.config.ts typeorm.config.ts data-source.ts seeds.rb
            .sequelizerc phinx.php phinx.yml phinx.json migrations.json migrate-mongo-config.js
            """
        ),
        endings=_parts(
            ".up.sql .down.sql .migration.sql .liquibase.sql .dacpac .sqlproj .prisma modelsnapshot.cs"
        ),
        folders=_parts(
            """
            migrations migration migrate alembic liquibase flyway drizzle data-migrations sqitch
            data_migrations schema_migrations schema-migrations db/changelog db/changelogs
            db/versions db_migrations db-migrations migrators dbmigrations sql/deploy sql/revert
            evolutions changesets post_migrate
            """
        ),
        pattern=(
            r"(?:^|/)(?:(?:deploy|revert|verify)/[^/]+\.sql|[vru]\d*[\d._]*__[^/]+\.(?:sql|java|kt|py)|db/schema\.rb|conf/evolutions/[^/]+"
            r"|(?:db[._-])?change-?log[^/]*\.(?:xml|sql)|db[._-]?change-?log[^/]*|\d{8,14}[_-][^/]+\.sql"
            r"|\d{3,5}[_-][^/]+\.sql|[^/]*(?<!im)(?<!em)migrations?\.(?:py|rb|js|ts|php|cs|java|kt|go|sql|exs?|rs))$"
        ),
    ),
    PathRule(
        "infrastructure",
        names=_names(
            """
            dockerfile containerfile docker-bake.hcl docker-bake.json chart.yaml chart.lock
            values.yaml values.yml kustomization.yaml kustomization.yml kustomization
            helmfile.yaml helmfile.yml skaffold.yaml skaffold.yml ansible.cfg site.yml hosts.ini
            cdk.json cdktf.json samconfig.toml template.yaml template.yml azuredeploy.json
            maintemplate.json vagrantfile procfile app.yaml fly.toml render.yaml vercel.json
            netlify.toml railway.json railway.toml wrangler.toml wrangler.jsonc heroku.yml
            app.json caddyfile haproxy.cfg nginx.conf httpd.conf .htaccess dockerrun.aws.json
            appspec.yml appspec.yaml tiltfile okteto.yml garden.yml firebase.json sst.config.ts
            flake.nix flake.lock configuration.nix puppetfile berksfile .terraformrc
            .platform.app.yaml .terraform.lock.hcl terragrunt.hcl gunicorn.conf.py uwsgi.ini
            supervisord.conf prometheus.yml alertmanager.yml cloud-init.yaml user-data crontab
            .dockerignore docker-entrypoint.sh entrypoint.sh compose.yaml compose.yml
            zappa_settings.json serverless.ts chalice.json copilot.yml cloudformation.yaml
            cloudformation.json now.json devcontainer.json clusterrole.yaml clusterrolebinding.yaml
            networkpolicy.yaml cronjob.yaml namespace.yaml namespaces.yaml serviceaccount.yaml
            service-account.yaml role-binding.yaml rolebinding.yaml applicationset.yaml application.yaml
            """
        ),
        endings=_parts(
            """
            .tf .tfvars .tf.json .tfvars.json .tofu .tfstate .hcl .nomad .bicep .bicepparam
            .dockerfile .containerfile .service .socket .timer .pp .sls .nix .cfn.yaml .cfn.yml
            .cfn.json .rego .k8s.yaml .k8s.yml .helm.yaml .jsonnet .libsonnet
            """
        ),
        folders=_parts(
            """
            terraform infra infrastructure iac k8s kubernetes kube helm charts manifests
            kustomize overlays ansible playbooks group_vars host_vars pulumi cloudformation
            deploy deployment deployments .deploy argocd argo-cd argo flux gitops .ebextensions
            .platform copilot .devcontainer nginx traefik envoy istio puppet chef cookbooks salt
            saltstack openshift .openshift systemd docker .docker nomad packer crossplane cdk
            terragrunt kubernetes-manifests helmfile.d ecs grafana prometheus pillar nixos
            """
        ),
        pattern=(
            r"(?:^|/)(?:dockerfile[._-][^/]+|[^/]+[._-]dockerfile|(?:docker-)?compose[^/]*\.ya?ml"
            r"|values[._-][^/]+\.ya?ml|pulumi(?:\.[^/]+)?\.ya?ml|serverless[^/]*\.(?:ya?ml|json|js)"
            r"|[^/]*(?:bucket|iam|trust|assume-?role|scp)[-_]?policy[^/]*\.json|task-?def(?:inition)?[^/]*\.json"
            r"|[^/]+[-_.]stack\.(?:ts|py|js)|[^/]*(?:cluster-?role|role-?binding|network-?policy)[^/]*\.ya?ml"
            r"|(?:playbook|inventory)[^/]*\.(?:ya?ml|ini)|inventory/[^/]+|roles/[^/]+/(?:tasks|handlers|meta|files"
            r"|templates|vars|defaults)/[^/]+|(?:nginx|apache|traefik|envoy)[^/]*\.(?:conf|ya?ml|toml)"
            r"|[^/]*(?:deployment|statefulset|daemonset|configmap|ingress)[^/]*\.ya?ml)$"
        ),
    ),
    PathRule(
        "dependencies",
        names=_names(
            """
            pyproject.toml setup.py setup.cfg pipfile pipfile.lock poetry.lock uv.lock pdm.lock pylock.toml
            environment.yml environment.yaml conda-lock.yml pixi.toml pixi.lock package.json package-lock.json
            npm-shrinkwrap.json yarn.lock pnpm-lock.yaml pnpm-workspace.yaml bun.lock bun.lockb deno.json
            deno.jsonc deno.lock .npmrc .yarnrc .yarnrc.yml bower.json lerna.json gemfile gemfile.lock gems.rb
            gems.locked go.mod go.sum go.work go.work.sum cargo.toml cargo.lock pom.xml build.gradle
            build.gradle.kts settings.gradle settings.gradle.kts gradle.properties gradle.lockfile
            libs.versions.toml gradle-wrapper.properties build.sbt plugins.sbt composer.json composer.lock
            packages.config packages.lock.json directory.packages.props directory.build.props nuget.config
            mix.exs mix.lock pubspec.yaml pubspec.lock package.swift package.resolved podfile podfile.lock
            cartfile cartfile.resolved vcpkg.json conanfile.txt conanfile.py workspace workspace.bazel
            module.bazel module.bazel.lock .gitmodules rebar.config rebar.lock stack.yaml stack.yaml.lock
            renv.lock manifest.toml project.toml renovate.json renovate.json5 .renovaterc dependabot.yml
            dependabot.yaml pip.conf .tool-versions mise.toml .mise.toml .python-version .nvmrc .node-version
            rust-toolchain.toml ivy.xml project.clj deps.edn shard.yml dub.json elm.json opam
            maven-wrapper.properties jsr.json importmap.json importmap.rb verification-metadata.xml
            paket.dependencies paket.lock global.json cabal.project cabal.project.freeze shard.lock
            dune-project dependencies.scala brewfile brewfile.lock.json cpanfile cpanfile.snapshot meta.json
            buf.lock buf.yaml description flake.lock bazel.lock
            """
        ),
        endings=_parts(
            """
            .gemspec .csproj .fsproj .vbproj .podspec .cabal .nimble .opam .rockspec
            """
        ),
        folders=_parts("requirements vendor third_party .mvn .cargo"),
        pattern=(
            r"(?:^|/)(?:pylock\.[^/]+\.toml|[^/]*(?:requirements|constraints)[^/]*\.(?:txt|in|lock))$"
        ),
    ),
    PathRule(
        "secrets",
        names=_names(
            """
            .env .envrc .netrc .pypirc .npmrc .pgpass .htpasswd id_rsa id_dsa id_ecdsa
            id_ed25519 credentials credentials.json credentials.yml credentials.yml.enc
            master.key secrets.yml secrets.yaml secrets.json secrets.toml secret.yaml
            secrets.env service-account.json .dockercfg .s3cfg .vault-token
            .sops.yaml kubeconfig local.settings.json
            """
        ),
        endings=_parts(
            """
            .pem .key .p12 .pfx .jks .keystore .kdbx .asc .gpg .ppk .p8 .age .env
            """
        ),
        folders=_parts("secrets .secrets .ssh .gnupg .aws vault"),
        pattern=r"(?:^|/)(?:\.env\.[^/]+|\.docker/config\.json)$",
    ),
    PathRule(
        "crypto",
        endings=_parts(
            """
            .pem .key .crt .cer .csr .der .p12 .pfx .jks .keystore .truststore .p7b
            """
        ),
        folders=_parts("certs certificates pki keys tls ssl"),
    ),
    PathRule(
        "permissions",
        names=_names(
            """
            codeowners firestore.rules storage.rules database.rules.json sudoers .htaccess
            policies.yaml rbac.yaml iam.tf iam.json security.md .gitattributes authorized_keys
            """
        ),
        endings=_parts(".rego .cedar .polar .fga .entitlements .te"),
        folders=_parts("rbac policies acl iam sudoers.d"),
    ),
    PathRule(
        "team_files",
        names=_names(
            """
            agents.yaml tasks.yaml policy.yaml agents.md claude.md gemini.md .mcp.json mcp.json .cursorrules
            .windsurfrules copilot-instructions.md .aider.conf.yml agents.override.md claude.local.md
            .clinerules skill.md .goosehints .aiderignore
            """
        ),
        folders=_parts(
            ".claude .cursor .codex .windsurf .clinerules .roo .continue .gemini .github/instructions .github/prompts"
        ),
    ),
)

PROSE = (
    ".md",
    ".rst",
    ".txt",
    ".adoc",
    ".po",
    ".pot",
    ".svg",
    ".csv",
    ".tsv",
    ".lock",
    ".sum",
    ".map",
)
"""Endings of files in which words and patterns say little; secrets are looked for all the same."""
