"""Redis Cluster and Sentinel, of Debian's redis-server, which miss a server sooner than usual."""

import signal
from collections.abc import Sequence

import redis
from redis.crc import key_slot

from tests.support.servers import Redis, Server, free_port, listens, wait_until

MISSED_AFTER = 1_000  # milliseconds
PRIMARIES = 3
SLOTS = 16_384
SERVICE = "latchkey"


class RedisNodes(Server):
    """Several servers of Redis that are started and stopped together."""

    program = Redis.program

    def __init__(self, servers: Sequence[Redis], sentinels: Sequence[Redis] = ()) -> None:
        self.process = None
        self.servers = servers
        self.sentinels = sentinels
        self.nodes = [*servers, *sentinels]

    def busiest(self) -> Redis:
        """Return the primary with the most keys."""
        primaries = [server for server in self.servers if server.ask("ROLE")[0] == "master"]
        return max(primaries, key=lambda server: int(server.ask("DBSIZE")))

    def has_replaced(self, server: Redis) -> bool:
        """Say whether another is primary in place of one that answers nothing."""
        raise NotImplementedError

    def is_whole(self) -> bool:
        """Say whether all answer and replicas follow."""
        raise NotImplementedError

    def stop(self, signal_number: int = signal.SIGTERM) -> None:
        """Stop all of them."""
        for node in self.nodes:
            node.stop(signal_number)

    def remove(self) -> None:
        """Stop them and delete their folders."""
        for node in self.nodes:
            node.remove()


class RedisCluster(RedisNodes):
    """Three primaries and a replica of each."""

    def __init__(self) -> None:
        self.bus_ports = [free_port() for _ in range(2 * PRIMARIES)]
        servers = [
            Redis(
                "--cluster-enabled", "yes", "--cluster-port", str(bus_port),
                "--cluster-node-timeout", str(MISSED_AFTER), "--repl-diskless-sync-delay", "0",
                "--cluster-replica-validity-factor", "0",
            )
            for bus_port in self.bus_ports
        ]  # fmt: skip
        super().__init__(servers)
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        self.url = f"redis+cluster://{hosts}"

    def start(self) -> None:
        """Start the servers and make them a cluster."""
        for number, server in enumerate(self.servers):
            server.start()
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for server, bus_port in zip(self.servers, self.bus_ports, strict=True):
            self.servers[0].ask("CLUSTER", "MEET", "127.0.0.1", server.port, bus_port)
        known = f"cluster_known_nodes:{len(self.servers)}"
        wait_until(lambda: all(known in server.ask("CLUSTER", "INFO") for server in self.servers))
        for number in range(PRIMARIES):
            first, end = (SLOTS * part // PRIMARIES for part in (number, number + 1))
            primary, replica = self.servers[number], self.servers[PRIMARIES + number]
            primary.ask("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
            replica.ask("CLUSTER", "REPLICATE", primary.ask("CLUSTER", "MYID"))
        wait_until(self.is_whole)

    def is_whole(self) -> bool:
        """Say whether all servers answer, and each primary has a replica that follows it."""
        return (
            all(listens(server.port) for server in self.servers)
            and all("cluster_state:ok" in server.ask("CLUSTER", "INFO") for server in self.servers)
            and sum(map(_is_followed, self.servers)) == PRIMARIES
        )

    def has_replaced(self, server: Redis) -> bool:
        """Say whether all others name other primaries, one for each slot."""
        for other in self.servers:
            if other is not server:
                rows = other.ask("CLUSTER", "SLOTS")
                slots = sum(last - first + 1 for first, last, *_ in rows)
                if slots < SLOTS or any(row[2][1] == server.port for row in rows):
                    return False
        return True

    def holder(self, key: str) -> Redis:
        """Return the primary of a key, by what most servers say."""
        slot = key_slot(key.encode())
        ports = []
        for server in self.servers:
            try:
                rows = server.ask("CLUSTER", "SLOTS")
            except redis.RedisError:
                continue
            ports += [row[2][1] for row in rows if row[0] <= slot <= row[1]]
        port = max(ports, key=ports.count)
        return next(server for server in self.servers if server.port == port)


class Watcher(Redis):
    """A sentinel, which watches over one primary."""

    def __init__(self, *lines: str, options: Sequence[str] = ()) -> None:
        super().__init__("--sentinel", *options)
        self.configuration = self.folder / "sentinel.conf"
        self.configuration.write_text("".join(f"sentinel {line}\n" for line in lines))

    def command(self) -> list[str]:
        """Return what starts it: a configuration stands before the options."""
        program, *options = super().command()
        return [program, str(self.configuration), *options]


class RedisSentinel(RedisNodes):
    """A primary and its replica, and three sentinels that watch over them."""

    def __init__(self) -> None:
        first = Redis("--repl-diskless-sync-delay", "0")
        second = Redis("--replicaof", f"127.0.0.1 {first.port}")
        sentinels = [
            Watcher(
                f"monitor {SERVICE} 127.0.0.1 {first.port} 2",
                f"down-after-milliseconds {SERVICE} {MISSED_AFTER}",
                f"failover-timeout {SERVICE} {4 * MISSED_AFTER}",
            )
            for _ in range(3)
        ]
        super().__init__([first, second], sentinels)
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
        self.url = f"redis+sentinel://{hosts}/{SERVICE}"

    def start(self) -> None:
        """Start all, and wait until the sentinels know everybody."""
        for node in self.nodes:
            node.start()
        wait_until(self.is_whole)

    def is_whole(self) -> bool:
        """Say whether the sentinels know of each other, and of a replica that follows."""
        return sum(map(_is_followed, self.servers)) == 1 and all(
            len(sentinel.ask("SENTINEL", "SENTINELS", SERVICE)) == len(self.sentinels) - 1
            and len(sentinel.ask("SENTINEL", "REPLICAS", SERVICE)) == 1
            for sentinel in self.sentinels
        )

    def has_replaced(self, server: Redis) -> bool:
        """Say whether most sentinels name another."""
        return self.primary() is not server

    def primary(self) -> Redis:
        """Return the server that most sentinels name."""
        answers = [
            sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
            for sentinel in self.sentinels
        ]
        port = int(max(answers, key=answers.count)[1])
        return next(server for server in self.servers if server.port == port)


def _is_followed(server: Redis) -> bool:
    """Say whether a primary's replica has acknowledged: before, it is sent nothing."""
    facts = server.ask("INFO", "replication")
    return facts["role"] == "master" and bool(facts.get("slave0", {}).get("offset"))
