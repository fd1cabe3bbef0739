"""How are people told that something waits for them? Webhooks and chat, with a link, never with a way to decide."""

from crews.notify.dispatch import (
    collect,
    copying_beside,
    flush,
    flush_copies,
    send_due,
    teller,
    try_out,
)
from crews.notify.notice import Notice

__all__ = [
    "Notice",
    "collect",
    "copying_beside",
    "flush",
    "flush_copies",
    "send_due",
    "teller",
    "try_out",
]
