"""Which form of the journal's tables does this version know?"""

from __future__ import annotations

SCHEMA_VERSION = 5
"""`migrations` says what each version added."""
