"""A job on a broker that asks for TLS and a password; and the password is nowhere to be read afterwards."""

from __future__ import annotations

import shutil
import urllib.request
from base64 import urlsafe_b64encode
from pathlib import Path

from tests.cluster.secured import PASSWORD, secured
from tests.flink.conftest import Run
from tests.flink.generated import stream

from eddyline.cluster.flink import Flink
from eddyline.connectors.kafka.connection import Connection
from eddyline.engines.flink import operate
from eddyline.engines.flink.audit import audit
from eddyline.engines.flink.job import JobTopics, Settings
from eddyline.engines.flink.rest import Rest
from eddyline.pipeline.loading import load

HERE = Path(__file__).parent


def disguises(secret: bytes) -> list[str]:
    """A secret as it looks, and as it looks inside of something in base64, wherever it begins."""
    found = [secret.decode()]
    for before in range(3):
        after = -(before + len(secret)) % 3
        text = urlsafe_b64encode(b"\0" * before + secret + b"\0" * after).decode()
        found.append(text[4 if before else 0 : -4 if after else None])
    return found


def told(flink: Flink, job: str) -> dict[str, str]:
    """What the logs and the REST interface tell, by where."""
    texts = {path.name: path.read_text(errors="replace") for path in flink.folder.glob("*.log")}
    assert {"jobmanager.log", "taskmanager-0.log"} <= set(texts)
    for path in (f"jobs/{job}", f"jobs/{job}/config", "jobmanager/config", "jobmanager/environment", f"jobs/{job}/plan"):
        with urllib.request.urlopen(f"{flink.rest}/{path}") as answer:
            texts[path] = answer.read().decode()
    return texts


def test_a_job_reads_and_writes_with_a_password_over_tls_and_nobody_is_told_it(flink_cluster: Flink, tmp_path: Path) -> None:
    file = tmp_path / "secure_shop.py"
    shutil.copy(HERE / "generated.py", file)
    file.write_text(file.read_text().replace('name="generated"', 'name="guarded"'))
    loaded = load(str(file))
    with secured(tmp_path) as broker:
        connection = Connection(broker.brokers, broker.settings())
        JobTopics.of(loaded.pipeline).ensure(connection, 2)
        job = operate.submit(loaded, connection, Settings(idle_ms=600_000), flink_cluster.rest)
        run = Run(loaded, connection, Rest(flink_cluster.rest), job)
        try:
            run.send((one.topic, one.key, one.value) for one in stream(7, 500))
            run.taken()
            texts = told(flink_cluster, job)
            run.stop(drain=True)
            done = audit(loaded.pipeline, connection)
        finally:
            run.end()
    assert done.sound, done
    assert done.predictions > 450
    leaks = [where for where, text in texts.items() if any(one in text for one in disguises(PASSWORD.encode()))]
    assert leaks == []
