"""Which tables does the journal have, and what is one row of each?

Times are seconds since the epoch (UTC); money is whole nano-dollars (1e-9 USD), so that sums are exact;
JSON is kept as the text that was written, byte for byte.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

SCHEMA_VERSION = 4
"""`migrations` says what each version added."""

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("goal", Text, nullable=False),
    Column("inputs", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("team_name", String, nullable=False),
    Column("options", Text, nullable=False),
    Column("status", String, nullable=False),
    Column("reason", Text, nullable=False, default=""),
    Column("exit_code", Integer),
    Column("owner", String, nullable=False, default=""),
    Column("epoch", Integer, nullable=False, default=0),
    Column("stop_asked", Boolean, nullable=False, default=False),
    Column("limits", Text, nullable=False),
    Column("tokens", BigInteger, nullable=False, default=0),
    Column("money", BigInteger, nullable=False, default=0),
    Column("money_known", Boolean, nullable=False, default=True),
    Column("turns", Integer, nullable=False, default=0),
    Column("calls", Integer, nullable=False, default=0),
    Column("working_seconds", Float, nullable=False, default=0.0),
    Column("approved_hash", String, nullable=False, default=""),
    Column("applied_hash", String, nullable=False, default=""),
    Column("summary", Text, nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("home", String, nullable=False, default=""),
    Column("priority", Integer, nullable=False, default=100),
    Column("submission", String),
    Column("origin", String, nullable=False, default=""),
    Column("woken", Boolean, nullable=False, default=False),
    Column("workflow", String, nullable=False, default=""),
    Column("left_by", String, nullable=False, default=""),
    Column("deaths", Integer, nullable=False, default=0),
    Column("deaths_at", Integer, nullable=False, default=0),
    Column("purged_at", Float),
    Index("runs_by_status", "status", "created_at"),
    Index("runs_by_owner", "owner"),
    Index("runs_by_submission", "submission", unique=True),
)

threads = Table(
    "threads",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("path", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("task", Text, nullable=False),
    Column("step", String, nullable=False, default=""),
    Column("model", String, nullable=False),
    Column("system", Text, nullable=False),
    Column("tools", Text, nullable=False),
    Column("brief", Text, nullable=False),
    Column("grants", Text, nullable=False),
    Column("limits", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("handover", Text),
    Column("flags", Text, nullable=False, default="[]"),
    Column("hash_before", String, nullable=False, default=""),
    Column("hash_after", String, nullable=False, default=""),
    Column("compacted", Integer, nullable=False, default=0),
    Column("finish_now", Boolean, nullable=False, default=False),
    Column("tokens", BigInteger, nullable=False, default=0),
    Column("money", BigInteger, nullable=False, default=0),
    Column("money_known", Boolean, nullable=False, default=True),
    Column("turns", Integer, nullable=False, default=0),
    Column("calls", Integer, nullable=False, default=0),
    Column("working_seconds", Float, nullable=False, default=0.0),
    Column("started_at", Float, nullable=False),
    Column("ended_at", Float),
    Column("label", String, nullable=False, default="untrusted"),
)

turns = Table(
    "turns",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("path", String, primary_key=True),
    Column("turn", Integer, primary_key=True),
    Column("request_hash", String, nullable=False),
    Column("model", String, nullable=False),
    Column("blocks", Text, nullable=False),
    Column("stop_reason", String, nullable=False),
    Column("notice", Text, nullable=False, default=""),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("cache_read_tokens", BigInteger, nullable=False),
    Column("money", BigInteger),
    Column("seconds", Float, nullable=False),
    Column("ended_at", Float, nullable=False),
    Column("copied", Boolean, nullable=False, default=False),
)

calls = Table(
    "calls",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("path", String, primary_key=True),
    Column("turn", Integer, primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("use_id", String, nullable=False),
    Column("tool", String, nullable=False),
    Column("arguments", Text, nullable=False),
    Column("effect", String, nullable=False),
    Column("ruling", String, nullable=False, default=""),
    Column("rule", String, nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("findings", Text, nullable=False, default="[]"),
    Column("state", String, nullable=False),
    Column("result", Text, nullable=False, default=""),
    Column("whole_result", Text),
    Column("is_error", Boolean, nullable=False, default=False),
    Column("review", String, nullable=False, default=""),
    Column("epoch", Integer, nullable=False, default=0),
    Column("expected", Text, nullable=False, default=""),
    Column("started_at", Float),
    Column("ended_at", Float),
    Column("rules", Text, nullable=False, default="[]"),
    Column("label", String, nullable=False, default=""),
)

reviews = Table(
    "reviews",
    metadata,
    Column("id", String, primary_key=True),
    Column("run", String, ForeignKey("runs.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("address", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("content_hash", String, nullable=False),
    Column("rule", String, nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("role", String, nullable=False, default=""),
    Column("findings", Text, nullable=False, default="[]"),
    Column("brief", Text),
    Column("brief_note", Text, nullable=False, default=""),
    Column("allowed", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("decision", String, nullable=False, default=""),
    Column("answer", Text, nullable=False, default=""),
    Column("edit", Text),
    Column("decided_by", String, nullable=False, default=""),
    Column("opened_at", Float, nullable=False),
    Column("decided_at", Float),
    Column("four_eyes", Boolean, nullable=False, default=False),
    Column("chain", Text, nullable=False, default="[]"),
    Column("stage", Integer, nullable=False, default=0),
    Column("due_at", Float),
    Column("remind_at", Float),
    Column("claimed_by", String, nullable=False, default=""),
    Column("claimed_until", Float),
    Column("scope", String, nullable=False, default=""),
    Column("signed_in", String, nullable=False, default=""),
    Index("reviews_by_run", "run", "number", unique=True),
    Index("reviews_by_state", "state", "opened_at"),
    Index("reviews_by_due", "state", "due_at"),
    Index("reviews_by_reminder", "state", "remind_at"),
)

spend = Table(
    "spend",
    metadata,
    Column("run", String, ForeignKey("runs.id"), primary_key=True),
    Column("path", String, primary_key=True),
    Column("turn", Integer, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("state", String, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("money", BigInteger),
    Column("model", String, nullable=False, default=""),
    Column("reserved_at", Float, nullable=False, default=0.0),
    Column("lost_tokens", BigInteger, nullable=False, default=0),
    Column("lost_money", BigInteger, default=0),
    Column("lost_requests", Integer, nullable=False, default=0),
    Index("spend_by_state", "run", "state"),
    Index("spend_by_model", "model", "state", "reserved_at"),
    Index("spend_by_time", "state", "reserved_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("run", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("kind", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("previous", String, nullable=False),
    Column("hash", String, nullable=False),
    Column("node", String, nullable=False, default=""),
    Index("audit_by_run", "run", "sequence"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("size", Integer, primary_key=True, autoincrement=False),
    Column("key", String, nullable=False),
    Column("note", Text, nullable=False),
)

audit_keys = Table(
    "audit_keys",
    metadata,
    Column("key", String, primary_key=True),
    Column("public", String, nullable=False),
    Column("sequence", Integer, nullable=False),
)

payloads = Table(
    "payloads",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("run", String, nullable=False),
    Column("sealed", Text, nullable=False),
    Index("payloads_by_run", "run"),
)

vault_keys = Table(
    "vault_keys",
    metadata,
    Column("run", String, primary_key=True),
    Column("secret", String, nullable=False),
    Column("erased_at", Float),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("host", String, nullable=False),
    Column("home", String, nullable=False),
    Column("state", String, nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("beat_at", Float, nullable=False),
    Index("workers_by_beat", "beat_at"),
)

users = Table(
    "users",
    metadata,
    Column("name", String, primary_key=True),
    Column("roles", Text, nullable=False),
    Column("login", String, nullable=False, default=""),
    Column("active", Boolean, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("users_by_login", "login"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("user", String, ForeignKey("users.name"), nullable=False),
    Column("digest", String, nullable=False, unique=True),
    Column("label", String, nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("expires_at", Float),
    Column("used_at", Float),
    Column("revoked_at", Float),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String, primary_key=True),
    Column("run", String, nullable=False),
    Column("review", String, nullable=False, default=""),
    Column("kind", String, nullable=False),
    Column("target", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", Float, nullable=False),
    Column("error", Text, nullable=False, default=""),
    Column("created_at", Float, nullable=False),
    Column("sent_at", Float),
    Index("deliveries_by_due", "state", "due_at"),
    Index("deliveries_by_run", "run"),
)

team_days = Table(
    "team_days",
    metadata,
    Column("team", String, primary_key=True),
    Column("day", String, primary_key=True),
    Column("money", BigInteger, nullable=False, default=0),
    Column("money_known", Boolean, nullable=False, default=True),
    Column("extended", BigInteger, nullable=False, default=0),
    Column("lifted", Boolean, nullable=False, default=False),
)
