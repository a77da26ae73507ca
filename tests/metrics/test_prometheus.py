"""The files for Prometheus and Grafana that ship, with the real programs."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import yaml

from metrics.exposition import families
from metrics.families import Histogram
from tests.support.product import ROOT, Latchkey
from tests.support.servers import Server, running, wait_until
from tests.support.services import program

MONITORING = ROOT / "deploy" / "monitoring"
TOKEN = "a-token-of-the-tests"


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(
        [program("promtool"), *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def names_of_series() -> set[str]:
    names = set()
    for family in families():
        parts = ("_bucket", "_sum", "_count") if isinstance(family, Histogram) else ("",)
        names |= {family.name + part for part in parts}
    return names


def test_the_configuration_and_the_alerts_are_valid_as_the_guide_checks_them() -> None:
    guide = (ROOT / "docs" / "monitoring.md").read_text()
    (line,) = re.findall(r"^promtool (.*)$", guide, re.MULTILINE)

    assert "SUCCESS: 14 rules found" in promtool(*line.split())


def test_each_alert_fires_for_its_fault_and_none_on_a_system_that_works() -> None:
    promtool("test", "rules", Path(__file__).parent / "alerts.yml")

    rules = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]
    tested = (Path(__file__).parent / "alerts.yml").read_text()
    assert {rule["alert"] for rule in rules} == set(re.findall(r'alertname="(\w+)"', tested))


def test_each_alert_says_what_is_wrong_and_what_to_do() -> None:
    for rule in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]:
        summary = re.sub("{{.*?}}", "x", rule["annotations"]["summary"])
        assert len(re.findall(r"[.](?= |$)", summary)) == 2, summary


def test_what_alerts_and_dashboard_ask_for_exists_and_all_of_it_is_shown() -> None:
    alerts = (MONITORING / "alerts.yml").read_text()
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    expressions = " ".join(
        target["expr"] for panel in dashboard["panels"] for target in panel["targets"]
    )
    shown = set(re.findall(r"latchkey_\w+", expressions))

    assert shown | set(re.findall(r"latchkey_\w+", alerts)) <= names_of_series()
    assert {re.sub("_bucket$", "", name) for name in shown} == {one.name for one in families()}


def test_the_dashboard_asks_what_prometheus_understands(tmp_path: Path) -> None:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    rules = [
        {"record": f"panel:{panel['id']}:{target['refId']}", "expr": filled(target["expr"])}
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    promtool("check", "rules", file)


def filled(expression: str) -> str:
    return expression.replace("$__rate_interval", "1m").replace("$environment", ".*")


class Prometheus(Server):
    """A Prometheus that scrapes every second, as the file that ships says."""

    program = "prometheus"

    def __init__(self, target: str, token: str) -> None:
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"
        text = (MONITORING / "prometheus.yml").read_text()
        text = text.replace("127.0.0.1:8000", target).replace(": 15s", ": 1s")
        text = text.replace("# authorization", "authorization")
        text = text.replace("/etc/prometheus/latchkey-metrics-token", str(self.folder / "token"))
        (self.folder / "prometheus.yml").write_text(text)
        (self.folder / "token").write_text(token)
        (self.folder / "alerts.yml").write_text((MONITORING / "alerts.yml").read_text())

    def start(self) -> None:
        self.process = subprocess.Popen(
            [program("Prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data",
             f"--web.listen-address=127.0.0.1:{self.port}"],
            cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wait_until(self.is_ready)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready").status_code == 200
        except httpx.HTTPError:
            return False

    def ask(self, expression: str) -> list[Any]:
        query = httpx.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=10)
        found: list[Any] = query.json()["data"]["result"]
        return found


def test_a_real_prometheus_scrapes_a_server_that_has_a_token() -> None:
    program("Prometheus")
    product = Latchkey(METRICS_TOKEN=TOKEN, METRICS_NETWORKS="none")
    with running(product):
        key = product.create_key()["key"]
        with product.caller(key) as caller:
            assert caller.get("/api/production/v1/key").status_code == 200
        assert httpx.get(f"{product.url}/metrics").status_code == 401

        with running(Prometheus(f"127.0.0.1:{product.port}", TOKEN)) as prometheus:
            wait_until(lambda: bool(prometheus.ask("latchkey_requests_total")), 30)

            assert [one["value"][1] for one in prometheus.ask("up")] == ["1"]
            row = prometheus.ask('latchkey_requests_total{environment="production",code="ok"}')
            assert [one["value"][1] for one in row] == ["1"]
            seen = {one["metric"]["__name__"] for one in prometheus.ask('{__name__=~"latchkey.+"}')}
            # No decision was asked for.
            assert names_of_series() - seen == {"latchkey_decisions_total"}
            rules = httpx.get(f"{prometheus.url}/api/v1/rules").json()["data"]["groups"][0]["rules"]
            wait_until(lambda: prometheus.ask("ALERTS") == [], 5)
            assert {rule["health"] for rule in rules} <= {"ok", "unknown"}
