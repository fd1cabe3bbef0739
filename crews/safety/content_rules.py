"""Which changed text is sensitive? The tables; `sensitivity` applies them.

They say what a change *touches*, never that it is right or wrong: no rule here finds
vulnerabilities. Patterns are judged on changed lines only; the words around them are `word_rules`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from crews.safety.patterns import compiled


@dataclass(frozen=True, slots=True)
class PatternRule:
    """A pattern, tried only where one of `needles` (lower case; none: always) is in the text."""

    category: str
    detail: str
    needles: tuple[str, ...]
    text: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """The pattern itself."""
        return compiled(self.text)


@dataclass(frozen=True, slots=True)
class CallRule:
    """Python calls by dotted name, aliases resolved; one that ends in `.` covers all below it."""

    category: str
    detail: str
    names: tuple[str, ...]


def _pattern(category: str, detail: str, needles: str, pattern: str) -> PatternRule:
    return PatternRule(category, detail, tuple(needles.split()), pattern)


PATTERNS: tuple[PatternRule, ...] = (
    _pattern(
        "auth",
        "signs in or out",
        "sign log",
        r"(?i)(?:sign|log)[_-](?:in|out|up)(?![a-z])|(?:sign|log)(?:In|Out|Up)(?![a-z])",
    ),
    _pattern(
        "auth",
        "an authentication check is skipped",
        "skip csrf_exempt disable bypass without allowanonymous permitall anonymous",
        r"(?i)(?:skip|disable|bypass|without|no)[_-]?(?:auth|login|csrf|verif|2fa|mfa)|csrf_exempt"
        r"|skip_before_action|\[?AllowAnonymous|permitAll\(|allow_anonymous",
    ),
    _pattern(
        "permissions",
        "role or access check",
        "role admin access allow current_user owner can_ canactivate guard",
        r"(?i)\b(?:is_?|has_?|require[sd]?_?|check_?|can_?|user_?|current_?)"
        r"(?:admin|staff|owner|role|access|user|allowed)"
        r"|\badmin_?only|\broles?\b|\bAllowAny\b|access_?control|CanActivate"
        r"|\bowner(?:_id|Id|ship)\b",
    ),
    _pattern(
        "permissions",
        "opens file permissions",
        "777 666 0o7",
        r"(?i)(?:chmod|mode|perm|0o)[^\n]{0,40}?(?:777|666)\b",
    ),
    _pattern(
        "permissions",
        "writes files wherever others may have a say",
        "extractall mktemp",
        r"\.extractall\(|\bmktemp\(|shutil\.unpack_archive\(",
    ),
    _pattern(
        "dependencies",
        "fetches a model or data set",
        "from_pretrained hf_hub snapshot_download load_dataset torch.hub",
        r"\.from_pretrained\(|hf_hub_download\(|snapshot_download\(|\bload_dataset\(|torch\.hub\.load\(",
    ),
    _pattern(
        "permissions",
        "switches a security warning off",
        "nosec nosemgrep noqa eslint-disable nolint codeql lgtm suppresswarnings gitleaks",
        r"(?i)#\s*nosec\b|nosemgrep|noqa:[^\n]{0,40}\bS\d{3}|eslint-disable[^\n]{0,60}security"
        r"|nolint:[^\n]{0,40}gosec|codeql\[|lgtm\s*\[|gitleaks:allow",
    ),
    _pattern(
        "permissions",
        "grants or revokes database rights",
        "grant revoke",
        r"(?i)\b(?:GRANT|REVOKE)\s+[A-Z ,]{2,60}\s+(?:ON|TO|FROM)\b|ROW\s+LEVEL\s+SECURITY",
    ),
    _pattern(
        "crypto",
        "certificate or signature checks are switched off",
        "verify insecure cert_none reject unverified check_hostname alg no-verify trustall",
        r"(?i)verify(?:_ssl|_tls|_certs?|_signature)?[\"']?\s*[:=]\s*(?:False|0\b|false)"
        r"|InsecureSkipVerify|CERT_NONE|rejectUnauthorized[\"']?\s*[:=]\s*false"
        r"|_create_unverified_context|check_hostname\s*=\s*False|alg[\"']?\s*[:=]\s*[\"']none"
        r"|NODE_TLS_REJECT_UNAUTHORIZED|ssl_?verify\w*\s*[:=]\s*(?:false|0)|TrustAll",
    ),
    _pattern(
        "sql",
        "changes a database schema",
        "create alter drop truncate",
        r"(?i)\b(?:CREATE|ALTER|DROP|TRUNCATE)\s+(?:OR\s+REPLACE\s+)?(?:TEMP(?:ORARY)?\s+|UNIQUE\s+)?"
        r"(?:TABLE|INDEX|VIEW|SCHEMA|DATABASE|TRIGGER|FUNCTION|PROCEDURE|COLUMN|TYPE|ROLE|USER|POLICY)"
        r"\b",
    ),
    _pattern(
        "sql",
        "builds a query from parts",
        "select insert update delete where",
        r"(?i)(?:\b(?:SELECT\s[^\n]{1,120}?\sFROM|INSERT\s+INTO|UPDATE\s+[^\n]{1,80}?\sSET"
        r"|DELETE\s+FROM)\b|[\"'`\s]WHERE\s)[^\n]{0,160}?"
        r"(?:\$\{|#\{|%[sd(]|\{\w*\}|[\"'`]\s*(?:\+|\.\s*\$|\|\||%|\.format)|\$\w+)",
    ),
    _pattern(
        "sql",
        "raw database access",
        "raw executescript execute .extra(",
        r"(?i)\.(?:executescript|raw_?query|query_?raw(?:_?unsafe)?|execute_?raw(?:_?unsafe)?"
        r"|from_?sql_?raw)\(|\braw_sql\b|\bRawSQL\(|\.extra\(|\.objects\.raw\(|\.execute\w*\(\s*f[\"']"
        r"|\.(?:execute|query)\w*\(\s*`[^`\n]*\$\{",
    ),
    _pattern(
        "process",
        "starts a process",
        "subprocess system popen exec spawn runtime processbuilder command shell",
        r"(?i)\bsubprocess\b|\bos\.(?:system|popen|exec\w+|spawn\w+)|\bpopen\(|child_process"
        r"|\b(?:exec|spawn|fork)(?:Sync|File|FileSync)?\(|Runtime\.getRuntime\(\)|ProcessBuilder"
        r"|exec\.Command|Command::new|shell_exec|\bpassthru\(|proc_open|shell\s*[:=]\s*True|\bsystem\("
        r"|Process\.Start|\bKernel\.(?:exec|system)",
    ),
    _pattern(
        "process",
        "runs data as code",
        "eval exec pickle marshal yaml unserialize deserialize new function( __import__ dill shelve torch .listen(",
        r"(?i)^\s*(?:import|from)\s+(?:c?pickle|dill|shelve|marshal|jsonpickle)\b|read_pickle\(|\btorch\.load\("
        r"|logging\.config\.listen\(|jsonpickle\.decode\(|(?<![\w.])eval\(|(?<![\w.])exec\(|\bpickle\.loads?\(|\bmarshal\.loads?\("
        r"|yaml\.(?:unsafe_load|load\((?![^\n]{0,80}SafeLoader))|\bunserialize\(|new\s+Function\("
        r"|BinaryFormatter|ObjectInputStream|\b__import__\(",
    ),
    _pattern(
        "network",
        "talks to the network",
        "requests httpx urllib aiohttp socket http fetch axios smtp ftp paramiko curl grpc reqwest "
        "webclient telnet xmlrpc ghmi cgi snmp communitydata usmuserdata",
        r"\brequests\.(?:get|post|put|patch|delete|head|request|Session)\b|\bhttpx\.|\burllib3?\b"
        r"|\baiohttp\b|\bsocket\.|http\.client|\bfetch\(|\baxios\b|XMLHttpRequest|net/http"
        r"|\bhttp\.(?:Get|Post|NewRequest|ListenAndServe|createServer|request)\b|\breqwest\b|HttpClient"
        r"|HttpURLConnection|\bWebClient\b|\bparamiko\b|\bsmtplib\b|\bftplib\b|\btelnetlib\b|\bxmlrpc\b|\bpyghmi\b|\bpysnmp\b|CommunityData\(|UsmUserData\("
        r"|CGIHandler|\btwcgi\b|\bcurl_(?:init|exec)"
        r"|\bwebsockets?\b|\bgrpc\.|Net::HTTP|\bFaraday\b",
    ),
    _pattern(
        "tests_removed",
        "a test is skipped",
        "skip xfail disabled ignore only( todo( xit( xdescribe(",
        r"@(?:pytest\.mark|unittest)\.(?:skip|xfail|expectedFailure)|\bpytest\.(?:skip|xfail)\("
        r"|\b(?:it|test|describe|context)\.(?:skip|only|todo)\(|\bx(?:it|describe|test)\("
        r"|@Disabled\b|@Ignore\b|\bt\.Skip(?:f|Now)?\(|#\[ignore|\.skipTest\(|pytestmark\s*=",
    ),
)

SQL_TEXT = re.compile(
    r"(?is)\b(?:select\b.{1,400}?\bfrom|insert\s+into|update\b.{1,200}?\bset|delete\s+from"
    r"|where\b.{1,100}?(?:=|\bin\b|\blike\b)|(?:create|alter|drop)\s+table)\b"
)

CALLS: tuple[CallRule, ...] = (
    CallRule(
        "process",
        "starts a process",
        ("subprocess.", "os.system", "os.popen", "pty.spawn", "asyncio.create_subprocess_exec")
        + ("asyncio.create_subprocess_shell", "os.execv", "os.execve", "os.execvp", "os.spawnv")
        + ("os.fork", "multiprocessing.Process", "ctypes.CDLL"),
    ),
    CallRule(
        "process",
        "runs data as code",
        ("eval", "exec", "__import__", "importlib.import_module", "runpy.", "code.interact")
        + ("pickle.load", "pickle.loads", "marshal.load", "marshal.loads", "dill.", "shelve.open"),
    ),
    CallRule(
        "network",
        "talks to the network",
        ("requests.", "httpx.", "urllib.request.", "urllib3.", "aiohttp.", "socket.", "ftplib.")
        + ("http.client.", "smtplib.", "paramiko.", "websockets.", "asyncio.open_connection")
        + ("imaplib.", "poplib.", "telnetlib.", "xmlrpc.client.", "boto3.", "grpc."),
    ),
    CallRule(
        "crypto",
        "uses cryptography",
        ("hashlib.", "hmac.", "secrets.", "ssl.", "cryptography.", "Crypto.", "Cryptodome.")
        + ("nacl.", "OpenSSL.", "os.urandom", "random.SystemRandom"),
    ),
    CallRule("auth", "handles credentials", ("jwt.", "jose.", "passlib.", "bcrypt.", "argon2.")),
    CallRule("auth", "handles credentials", ("keyring.", "getpass.", "itsdangerous.", "authlib.")),
    CallRule("permissions", "changes rights", ("os.chmod", "os.chown", "os.setuid", "os.setgid")),
    CallRule("permissions", "changes rights", ("os.umask", "os.seteuid", "os.setegid")),
)

COMMANDS: tuple[PatternRule, ...] = (
    _pattern(
        "dependencies",
        "installs or removes packages",
        "",
        r"\b(?:pip3?|uv|pipx|poetry|pdm|conda|mamba|npm|pnpm|yarn|bun|cargo|gem|bundle|composer|go|dotnet"
        r"|apt(?:-get)?|apk|dnf|yum|brew)\s+(?:-\S+\s+)*(?:pip\s+)?(?:install|add|remove|uninstall|update"
        r"|upgrade|get|sync|i|ci|require)\b",
    ),
    _pattern(
        "network",
        "reaches the network",
        "",
        r"\b(?:curl|wget|ssh|scp|sftp|rsync|ftp|telnet|nc|ncat|socat|nslookup|dig)\s"
        r"|\bgit\s+(?:-\S+\s+)*(?:push|pull|fetch|clone|remote|submodule)\b|/dev/(?:tcp|udp)/"
        r"|\bgh\s+\w|\b(?:aws|gcloud|az|gsutil)\s+\w",
    ),
    _pattern(
        "permissions",
        "changes rights or identity",
        "",
        r"\b(?:sudo|doas|chmod|chown|chgrp|setfacl|usermod|useradd|visudo|setcap)\b|(?:^|[;&|]\s*)su\s",
    ),
    _pattern(
        "migration",
        "migrates a database",
        "",
        r"\balembic\s+(?:up|down)grade|\bmanage\.py\s+\w*migrat|\b(?:rails|rake)\s+db:|\bflyway\b|\bliquibase\b"
        r"|\bprisma\s+(?:migrate|db)\b|\bknex\s+migrate|\bsequelize\s+db:|\btypeorm\s+migration|\bdbmate\b"
        r"|\bflask\s+db\s|\bgoose\s|\bdotnet\s+ef\s|\bartisan\s+migrate|\bmix\s+ecto\.",
    ),
    _pattern(
        "sql",
        "talks to a database",
        "",
        r"\b(?:psql|mysql|mariadb|sqlite3|sqlcmd|mongosh?|redis-cli|clickhouse-client)\b"
        r"|(?i:\b(?:DROP|ALTER|TRUNCATE|CREATE)\s+(?:TABLE|DATABASE|SCHEMA)\b|\bDELETE\s+FROM\b)",
    ),
    _pattern(
        "infrastructure",
        "changes infrastructure",
        "",
        r"\b(?:terraform|tofu|terragrunt|pulumi|kubectl|helm|ansible(?:-playbook)?|docker|podman|nomad|packer"
        r"|vagrant|serverless|cdk|sam|flyctl|heroku|systemctl|service|skaffold|argocd)\s+\w",
    ),
    _pattern(
        "secrets",
        "reads secrets or the environment",
        "",
        r"\bprintenv\b|(?:^|[;&|]\s*)env\s*(?:$|[|>;&])|/proc/\S+/environ|\.env\b|\bid_(?:rsa|ed25519|ecdsa)\b"
        r"|\.(?:netrc|pypirc|npmrc|pgpass)\b|\.aws/credentials|/etc/(?:shadow|gshadow)|\.ssh/"
        r"|\b(?:vault|pass|op|gpg)\s+(?:read|show|get|kv|--export)",
    ),
    _pattern(
        "crypto",
        "makes keys or certificates",
        "",
        r"\b(?:openssl|ssh-keygen|gpg|certbot|keytool|step)\s",
    ),
    _pattern(
        "process",
        "runs fetched or hidden code, or destroys files",
        "",
        r"\|\s*(?:ba|z|da|k)?sh\b|\|\s*python[\d.]*\b|\beval\s|base64\s+(?:-d|--decode)|\bnohup\b|\bcrontab\b"
        r"|\brm\s+(?:-\w*[rf]\w*\s+)+|\bkill(?:all)?\s|\bmkfs|\bdd\s+if=|\bgit\s+reset\s+--hard|\bgit\s+clean\b",
    ),
    _pattern(
        "tests_removed",
        "leaves checks out",
        "",
        r"--no-verify\b|--deselect\b|\bSKIP=\w|--skip-tests?\b|-DskipTests|--passWithNoTests",
    ),
)
