"""Can a command of an agent read the key that signs the audit log, which lies two folders above its workspace?"""

from __future__ import annotations

from pathlib import Path

import pytest

from crews.records.signing import signing_key
from crews.settings import Settings
from tests.support.sandboxes import KINDS, run, sandbox_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("kind", KINDS)
async def test_no_command_reads_the_signing_key(kind: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    signing_key(settings.audit_key_file)
    workspace = settings.run_folder("run") / "workspace"
    workspace.mkdir(parents=True)
    told = await run(
        sandbox_of(kind),
        workspace,
        f"cat ../../../keys/audit.pem; cat {settings.audit_key_file}; ls ../../..; echo ended",
    )
    assert "ended" in told.output
    assert "PRIVATE KEY" not in told.output
    assert "crews.db" not in told.output
