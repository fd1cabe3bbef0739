"""What may a test reach, and what may it see of the developer's machine?

In this process an audit hook refuses every look-up and connection that leaves the machine; it sees
all of `socket`, whoever calls it. A child process gets an environment in which every proxy is a
closed port of this machine.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import cast

PROXY_PORT = 9  # the discard service: nothing listens there
PROXY = f"http://127.0.0.1:{PROXY_PORT}"
LOCAL = "127.0.0.1,localhost,::1"
REMOVED_PREFIXES = (
    "ANTHROPIC_", "AWS_", "AZURE_", "CLAUDE_", "CLICOLOR", "COHERE_", "CREWAI_", "CREWS_", "DBOS_",
    "DEEPSEEK_", "GEMINI_", "GOOGLE_", "GROQ_", "HF_", "LANGFUSE_", "LANGSMITH_", "LITELLM_",
    "MISTRAL_", "OLLAMA_", "OPENAI_", "OPENROUTER_", "OTEL_", "POSTHOG_", "SERPER_", "XAI_",
)  # fmt: skip
REMOVED_NAMES = ("COLUMNS", "DATABASE_URL", "FORCE_COLOR", "LINES", "MODEL", "NO_COLOR")
FIXED = {
    "ANONYMIZED_TELEMETRY": "False",  # chromadb
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "OTEL_SDK_DISABLED": "true",
    "PYTHON_DOTENV_DISABLED": "1",  # crewai loads the nearest .env when it is imported
    **{
        name: PROXY
        for scheme in ("HTTP", "HTTPS", "ALL")
        for name in (f"{scheme}_PROXY", f"{scheme}_proxy".lower())
    },
    "NO_PROXY": LOCAL,
    "no_proxy": LOCAL,
}


class NetworkRefused(RuntimeError):
    """A test reached for something beyond this machine."""


class Brake:
    """Refuses what leaves the machine, and remembers it in `attempts` (`host` or `host:port`)."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self._lock = threading.Lock()

    def audit(self, event: str, arguments: tuple[object, ...]) -> None:
        """The audit hook (PEP 578): what it raises, the caller of `socket` gets."""
        if not event.startswith("socket."):
            return
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            target = _outside_address(arguments[1])
        elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
            target = _outside_name(arguments[0])
        else:
            return
        if target:
            self._refuse(target)

    def _refuse(self, target: str) -> None:
        with self._lock:
            self.attempts.append(target)
        raise NetworkRefused(
            f"tests may not reach beyond loopback: {target}. Give the code under test the URL of "
            "tests.support.messages_api.MessagesServer, or a local server."
        )


def _outside_address(address: object) -> str:
    """The address if it leaves the machine, else nothing; Unix sockets stay."""
    if not isinstance(address, tuple):
        return ""
    host, port, *_ = (*cast("tuple[object, ...]", address), 0)
    if not isinstance(host, str):  # a family without hosts, such as netlink
        return ""
    if _outside_name(host):
        return f"{host}:{port}"
    if port == PROXY_PORT:
        return "some host beyond this machine, through the tests' closed proxy"
    return "" if _is_local(host) else f"{host}:{port}"


def _outside_name(name: object) -> str:
    """The host name if somebody else would have to be asked for it, else nothing."""
    host = name.decode() if isinstance(name, bytes) else name
    if not isinstance(host, str) or host in ("", "localhost"):
        return ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host
    return ""


def _is_local(host: str) -> bool:
    if host in ("", "localhost"):
        return True
    address = ipaddress.ip_address(host)
    inner = getattr(address, "ipv4_mapped", None) or address
    return inner.is_loopback or inner.is_unspecified


def clean(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    """The environment of a test: no keys, no settings, no colour wishes, its own home."""
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith(REMOVED_PREFIXES)
        and not name.endswith("_API_KEY")
        and name not in REMOVED_NAMES
    }
    folders = {
        "CREWS_HOME": home / "crews",
        "HOME": home,
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_DATA_HOME": home / ".local" / "share",
        "XDG_STATE_HOME": home / ".local" / "state",
    }
    return {**kept, **FIXED, **{name: str(folder) for name, folder in folders.items()}}
