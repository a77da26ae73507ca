"""Django's cache in Redis Cluster, and in what sentinels watch over.

Each key is asked for by itself: the keys of one question may lie on several servers.
"""

from collections.abc import Mapping
from typing import Any

from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis import Redis

from database.redis import clients


class KeyClient(Redis):
    """redis-py's client, for commands whose first argument is their key."""

    def __init__(self, commands: clients.Commands) -> None:
        super().__init__()
        self._commands = commands

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send the command to the server of its key, and read the answer as redis-py does."""
        answer = self._commands.execute(args[1], *args)
        read = self.response_callbacks.get(args[0])
        return answer if read is None else read(answer)


class CacheClient(RedisCacheClient):
    """What Django's cache asks for, with several keys one after the other."""

    def __init__(self, servers: list[str], **options: Any) -> None:
        super().__init__(servers, **options)
        self._commands = clients.commands(servers[0])
        self._by_key = KeyClient(self._commands)

    def get_client(self, key: Any = None, *, write: bool = False) -> Redis:
        return self._by_key

    def get_many(self, keys: Any) -> dict[Any, Any]:
        missing = object()
        found = {key: self.get(key, missing) for key in keys}
        return {key: value for key, value in found.items() if value is not missing}

    def set_many(self, data: Mapping[Any, Any], timeout: Any) -> None:
        for key, value in data.items():
            self.set(key, value, timeout)

    def delete_many(self, keys: Any) -> None:
        for key in keys:
            self.delete(key)

    def clear(self) -> bool:
        for server in self._commands.primaries():
            server.execute("FLUSHDB")
        return True


class Cache(RedisCache):
    """The backend to name in ``CACHES``, with ``REDIS_URL`` alone in a list as its location."""

    def __init__(self, server: list[str], params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = CacheClient
