"""Which changed lines switch a check off, or take one away? The tables; `sensitivity` applies them."""

from __future__ import annotations

from crews.safety.content_rules import CallRule, PatternRule

CATEGORY = "checks_weakened"


def _rule(detail: str, needles: str, pattern: str) -> PatternRule:
    return PatternRule(CATEGORY, detail, tuple(needles.split()), pattern)


ADDED: tuple[PatternRule, ...] = (
    _rule(
        "a linter, type checker or coverage is told to look away",
        "noqa nosec ignore disable nolint suppress pragma nocheck skipcq expect-error phpcs @ts- allow( istanbul",
        r"(?i)#\s*(?:noqa|nosec|type:\s*ignore|pyright:\s*(?:ignore|basic)|pylint:\s*(?:disable|skip-file)"
        r"|mypy:\s*ignore|pragma:\s*no\s?cover|nosemgrep)|(?:eslint|tslint|stylelint|biome|oxlint)-(?:disable|ignore)"
        r"|@ts-(?:ignore|nocheck|expect-error)|//\s*nolint|NOSONAR|rubocop:disable|@SuppressWarnings|phpcs:(?:ignore"
        r"|disable)|@phpstan-ignore|@psalm-suppress|shellcheck\s+disable|#!?\[allow\(|#pragma\s+warning\s+disable"
        r"|istanbul\s+ignore|skipcq|coverity\[|NOLINT\b|gitleaks:allow|checkov:skip|tfsec:ignore|trivy:ignore|hadolint"
        r"\s+ignore",
    ),
    _rule(
        "a step may fail unseen",
        "true continue allow_failure ignore set exit keep-going no-verify or: soft_fail failure",
        r"\|\|\s*(?:true\b|:\s*$|exit\s+0|echo\b)|continue-on-error:\s*[\"']?(?:true|\$\{\{)"
        r"|continueOnError:\s*true|allow_failure:\s*true|soft_fail:\s*(?:true|-)|ignore_errors:\s*(?:true|yes)"
        r"|failed_when:\s*(?:false|no)\b|(?:^|[;\s])set\s+\+e\b|--no-verify\b|catchError\(|ignore_failure:\s*true"
        r"|failure:\s*ignore|--exit-zero\b|--passWithNoTests\b|-Dmaven\.test\.(?:skip|failure\.ignore)|-DskipTests",
    ),
    _rule(
        "any origin or host is let in",
        "* allow_all allowanyorigin cors hosts 0.0.0.0/0 ::/0",
        r"(?i)(?:access-control-allow-origin|allow(?:ed)?_?-?(?:origins?|hosts?|methods|headers)|cors_?\w*|trusted_hosts)"
        r"[\"']?\s*(?:[:=,(]|=>)\s*[\[({]?\s*[\"']?(?:\*|\.\*)|cors_(?:origin_)?allow_all\w*\s*=\s*True"
        r"|allow_all_origins\s*[:=]\s*true|\bcors\(\)|AllowAnyOrigin|0\.0\.0\.0/0|[\"']::/0",
    ),
    _rule(
        "listens on every address",
        "0.0.0.0 [::] inaddr_any",
        r"[\"'=\s]0\.0\.0\.0(?![./\d])|[\"']\[?::\]?(?:[\"']|:\d)|INADDR_ANY",
    ),
    _rule(
        "escaping or autoescaping is switched off",
        "autoescape safe markup raw unescaped dangerously innerhtml v-html bypasssecurity html_safe escape template",
        r"(?i)autoescape[\"']?\s*[:=]?\s*(?:False|off|none)|\bmark_safe\(|\bSafeString\(|\bMarkup\(|\|\s*(?:safe|raw)\b"
        r"|\{!!|dangerouslySetInnerHTML|\.innerHTML\s*=|\bv-html\b|bypassSecurityTrust|\.html_safe\b|\braw\(|<%=="
        r"|disable_?escap|\bSafeText\(",
    ),
    _rule(
        "debugging is switched on",
        "debug",
        r"(?i)(?:^|[\s(,{\"'])(?:flask_|app_|django_)?debug[\"']?\s*[:=]\s*[\"']?(?:True|1|on|yes)\b",
    ),
    _rule(
        "a safety option is switched off",
        "false off none no 0 disabled permissive unconfined privileged insecure curl policy",
        r"(?i)(?:\b|_)(?:secure|http_?only|same_?site|strict|hsts\w*|validate\w*|verify\w*|sanitize\w*|check\w*|csp\w*"
        r"|x_?frame\w*|host_?key_?check\w*|strict_?host_?key_?checking|safe_?mode|enforce\w*|require_?\w+|protect\w*"
        r"|security\w*)[\"']?\s*(?:[:=]|=>|\s)\s*[\"']?(?:False|off|none|no|0|disabled)\b"
        r"|\bselinux\s*[:=]\s*(?:permissive|disabled)|(?:seccomp|apparmor)[=:]unconfined|\bprivileged:\s*true"
        r"|--privileged\b|--insecure\b|allow_?privilege_?escalation:\s*true|\bcurl\s+(?:-\w*k\w*\s|.*\s-k\b)"
        r"|AutoAddPolicy|WarningPolicy",
    ),
    _rule(
        "holds characters that reorder or hide text",
        "",
        "[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]",
    ),
    _rule(
        "an error is swallowed",
        "pass continue catch except rescue contextlib.suppress",
        r"(?i)except[^:\n]{0,80}:\s*(?:pass|continue)\b|catch\s*(?:\([^)\n]{0,80}\))?\s*\{\s*\}|\brescue\s*(?:=>\s*\w+)?"
        r"\s*;?\s*nil\b|contextlib\.suppress\((?:Base)?Exception\)",
    ),
)
"""Tried on new lines."""

REMOVED: tuple[PatternRule, ...] = (
    _rule(
        "an assertion is gone",
        "assert expect( should require( ensure invariant debug_assert panic check",
        r"\b(?:assert|static_assert|debug_assert(?:_eq|_ne)?!|assert(?:_eq|_ne)?!|BUG_ON|WARN_ON)[\s(]"
        r"|\b(?:self\.|t\.)?assert[A-Z_]\w*\(|\bexpect\([^\n]{0,200}\)\.|\b(?:Preconditions|Objects)\.\w+\("
        r"|\brequire\([^\n\"']{1,200}\)|\binvariant\(",
    ),
    _rule(
        "a check of rights or identity is gone",
        "@ require permission authorize login before_action guard policy can middleware denied forbidden unauthorized",
        r"(?i)^\s*@(?:\w+\.)*(?:login_required|permission_required|user_passes_test|requires?_\w+|auth\w*|secured|preauth\w*"
        r"|roles?_?\w*|staff_member_required|csrf_protect|usegua\w*|permission\w*)|^\s*\[Authorize"
        r"|before_action\s+:?(?:auth|require|check|verify)\w*|\b(?:authorize|require_login|check_permission|check_access"
        r"|has_perm(?:ission)?|can_\w+|is_authorized|is_authenticated|verify_\w+|ensure_\w+|check_auth\w*)!?\s*\("
        r"|raise\s+(?:PermissionDenied|Forbidden|Unauthorized|PermissionError)|(?:abort|status)\(?\s*(?:401|403)\b"
        r"|permission_classes|@UseGuards|\.hasRole\(|\.authenticated\(\)|\bcapable\(|\bAccessDenied",
    ),
    _rule(
        "a check of input is gone",
        "validat sanit escape clean_ is_valid schema strip_tags quote",
        r"(?i)\b(?:validate|validator|sanitize|sanitise|escape|is_valid|strip_tags|html_?escape|shlex\.quote|bleach\.clean"
        r"|clean)\w*\(|\.validate\b|\bvalidates?(?:_\w+)?\s+:",
    ),
)
"""Tried on lines that are gone; they count where fewer such lines came than went."""

CALLS: tuple[CallRule, ...] = (
    CallRule(
        CATEGORY,
        "text is taken as it is, unescaped",
        (
            "django.utils.safestring.",
            "markupsafe.Markup",
            "flask.Markup",
            "mako.",
            "jinja2.Environment",
        ),
    ),
)
