"""Notes while records are shipped from which networks keys were sent: IPv4 /24, IPv6 /48."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_network

from database import bulk_sql
from logs.capture.record import Record
from logs.models import KeyNetwork
from logs.shipping.usage import timestamp

Pair = tuple[str, str]
# In microseconds.
DAY = 86_400_000_000
TYPES = {"key_id": "text", "network": "text", "at": "timestamptz"}


@lru_cache(maxsize=65_536)
def network_of(address: str) -> str | None:
    """Return the network that stands for an address; None for a text that is no address."""
    try:
        return str(ip_network(f"{address}/{48 if ':' in address else 24}", strict=False))
    except ValueError:
        return None


def add(records: Sequence[Record]) -> None:
    """Note where keys were sent from; within the transaction that stores the records."""
    used: dict[Pair, int] = {}
    refused: dict[Pair, int] = {}
    for record in records:
        is_revoked = record.code == "key_revoked"
        if record.key is None or not (record.is_key_accepted or is_revoked):
            continue
        network = network_of(record.address)
        if network is None:
            continue
        pair = (record.key, network)
        if is_revoked:
            refused[pair] = max(refused.get(pair, 0), record.at)
        else:
            used[pair] = min(used.get(pair, record.at), record.at)
    _note_uses(used)
    _note_refusals(refused)


def _note_uses(used: dict[Pair, int]) -> None:
    table = KeyNetwork._meta.db_table
    bulk_sql.run(
        f"INSERT INTO {table} (key_id, network, first_used_at, last_used_at)"  # noqa: S608
        " SELECT key_id, network, at, day FROM {given} WHERE true"
        " ON CONFLICT (key_id, network) DO UPDATE SET last_used_at = excluded.last_used_at,"
        f" first_used_at = coalesce({table}.first_used_at, excluded.first_used_at)"
        f" WHERE {table}.first_used_at IS NULL OR {table}.last_used_at < excluded.last_used_at",
        TYPES | {"day": "timestamptz"},
        [
            (key, network, timestamp(at), timestamp(at - at % DAY))
            for (key, network), at in sorted(used.items())
        ],
    )


def _note_refusals(refused: dict[Pair, int]) -> None:
    table = KeyNetwork._meta.db_table
    bulk_sql.run(
        f"INSERT INTO {table} (key_id, network, refused_at)"  # noqa: S608
        " SELECT key_id, network, at FROM {given} WHERE true"
        " ON CONFLICT (key_id, network) DO UPDATE SET refused_at = excluded.refused_at"
        f" WHERE {table}.refused_at IS NULL OR {table}.refused_at < excluded.refused_at",
        TYPES,
        [(key, network, timestamp(at)) for (key, network), at in sorted(refused.items())],
    )
