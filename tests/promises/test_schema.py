"""Promise 5, by the schema: no 5xx, no status it does not name, no answer it does not describe."""

import subprocess
import sys
from pathlib import Path

import pytest

from apikeys.permissions import Permission
from tests.support.product import LOTS, Latchkey
from tests.support.servers import running

pytestmark = pytest.mark.crash

EXAMPLES = "3"
SEED = "1"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
CONFIG = '[parameters]\nenvironment = "production"\n'


def conform(product: Latchkey, folder: Path, *, examples: str, seed: str) -> str:
    """Generate requests from the schema and judge the answers by it; return the report."""
    granted = [word for permission in Permission for word in ("--permission", permission.value)]
    made = product.create_key(*granted, *LOTS)
    config = folder / "schemathesis.toml"
    config.write_text(CONFIG)
    done = subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), "--config-file", config, "run",
            f"{product.url}/api/schema", "--header", f"Authorization: Bearer {made['key']}",
            "--checks", ",".join(CHECKS), "--phases", "coverage,fuzzing", "--seed", seed,
            "--max-examples", examples, "--no-color",
        ],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("pair", ["sqlite", "postgres"])
def test_requests_made_from_the_schema_are_answered_as_it_says(
    pair: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    where: dict[str, str] = {}
    if pair == "postgres":
        where = {
            "database": request.getfixturevalue("postgres").new_database(),
            "redis": request.getfixturevalue("redis").url,
        }
    with running(Latchkey(**where, AUTH_FAILURE_LIMIT="1000000/min")) as product:
        report = conform(product, tmp_path, examples=EXAMPLES, seed=SEED)

    assert "passed" in report
