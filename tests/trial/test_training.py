"""Training from the log: the same model however often it is killed, from exactly the examples it names."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from river import linear_model, preprocessing
from tests.trial.shop import opened

import eddyline
from eddyline.engines.embedded import Engine, replay
from eddyline.models import adapt
from eddyline.pipeline.loading import Loaded
from eddyline.records import Prediction
from eddyline.records.errors import DeclarationError, StoreCorrupt, StoreLocked, StoreMismatch
from eddyline.records.time import days, hours, to_us
from eddyline.store.database import Store
from eddyline.store.examples import Examples, choose
from eddyline.store.lock import WriterLock
from eddyline.store.rebuild import StoredLines
from eddyline.store.spawned import spawn
from eddyline.store.training import Spec, Trained, chosen_by, reader_of, train
from eddyline.views.retraining import asked_for, retrain

CHILD = """
import sys
from pathlib import Path
from eddyline.pipeline.loading import load
from eddyline.store.database import Store
from eddyline.store.training import Spec, train
loaded = load(sys.argv[1])
store = Store.read(loaded.store)
line = loaded.pipeline.plan().lines[sys.argv[3]]
spec = Spec(name="shop.r1", model=line.model, line=line.name)
train(store, loaded.pipeline, spec, Path(sys.argv[2]), every=60, on_progress=lambda done, total: print(done, flush=True))
"""


def spec_of(loaded: Loaded, line: str = "shop", **examples: Any) -> Spec:
    """The recipe of one of the pipeline's lines."""
    return Spec(name="shop.r1", model=loaded.pipeline.plan().lines[line].model, line=line, examples=Examples(**examples))


def unpickled(made: Trained) -> Trained:
    """All of it but the bytes of the state: equal models pickle differently, which is why they have a digest."""
    return msgspec.structs.replace(made, state=b"")


def child(loaded: Loaded, out_dir: Path, line: str) -> subprocess.Popen[str]:
    """A training in a process of its own, which says how far it is."""
    source = str(Path(eddyline.__file__).parents[1])
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(loaded.file), str(out_dir), line],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": source},
    )


@pytest.mark.parametrize("line", ["shop", "shop.trees"])
def test_a_training_that_is_killed_again_and_again_ends_as_an_undisturbed_one(shop: Loaded, tmp_path: Path, line: str) -> None:
    with opened(shop) as store:
        undisturbed = train(store, shop.pipeline, spec_of(shop, line), tmp_path / "calm")
    kills = 0
    for steps in (1, 4, 7, 100):
        process = child(shop, tmp_path / "killed", line)
        assert process.stdout is not None
        for _ in range(steps):
            if not process.stdout.readline():
                break
        else:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.stdout.close()
        process.wait()
    assert kills >= 2, "a busy machine lets a training run on before it is killed, once, not always"
    assert process.returncode == 0
    with opened(shop) as store:
        resumed = train(store, shop.pipeline, spec_of(shop, line), tmp_path / "killed")
    assert unpickled(resumed) == unpickled(undisturbed)
    assert undisturbed.position == undisturbed.lineage.learned.count == 1564


def test_what_comes_while_it_trains_is_not_learned(shop: Loaded, tmp_path: Path) -> None:
    for name in ("shop.eddyline", "shop.py", "visits.jsonl", "sales.jsonl"):
        shutil.copy(shop.base / name, tmp_path / name)
    loaded = Loaded(shop.pipeline, tmp_path / "shop.py", tmp_path / "shop.eddyline")
    with opened(loaded) as store:
        undisturbed = train(store, loaded.pipeline, spec_of(loaded), tmp_path / "calm")
    process = child(loaded, tmp_path / "out", "shop")
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.stdout.close()
    process.wait()
    with (tmp_path / "visits.jsonl").open("a") as file:
        for n in range(50):
            visit = {"id": f"new-{n}", "who": "w", "at": f"2023-12-01T00:{n:02}:00Z", "pages": 1.0, "country": "DE"}
            file.write(json.dumps(visit) + "\n")
    with Engine(loaded.pipeline, loaded.store) as engine, opened(loaded) as looking:
        before = looking.seq
        replay(engine, tmp_path)
        with opened(loaded) as store:  # the engine still owns the store, and goes on beside the training
            assert store.seq > before
            assert unpickled(train(store, loaded.pipeline, spec_of(loaded), tmp_path / "out")) == unpickled(undisturbed)


def test_a_fresh_training_on_the_first_examples_is_the_version_that_learned_them(shop: Loaded, tmp_path: Path) -> None:
    with opened(shop) as store:
        lines = StoredLines(store, shop.pipeline.plan())
        for line in ("shop", "shop.narrow", "shop.trees"):
            made = train(store, shop.pipeline, spec_of(shop, line), tmp_path / line)
            assert made.digest == lines.rebuild(line, 1564).digest()
            assert adapt(shop.pipeline.plan().lines[line].model).restored(made.state).digest() == made.digest


def test_going_on_from_a_version_is_as_if_it_had_never_stopped(shop: Loaded, tmp_path: Path) -> None:
    with opened(shop) as store:
        request = asked_for(shop.pipeline, continues="shop@700", since=700, held_back=0.1)
        tried = retrain(store, shop.pipeline, request, shop.base, tmp_path / "out")
        reached = 700 + tried.learned
        assert tried.lineage.learned.ranges == [(700, reached - 1)]
        assert (tried.lineage.parent, tried.lineage.reached) == ("shop@700", reached)
        assert tried.digest == StoredLines(store, shop.pipeline.plan()).rebuild("shop", reached).digest()


def test_features_made_again_are_those_that_were_served(shop: Loaded, tmp_path: Path) -> None:
    plan = shop.pipeline.plan()
    with opened(shop) as store:
        served = train(store, shop.pipeline, spec_of(shop), tmp_path / "served")
        again = Spec(name="shop.r1", model=plan.model, maker=plan.serve.maker)
        assert train(store, shop.pipeline, again, tmp_path / "again").lineage.learned == served.lineage.learned


def test_a_lineage_recomputes_from_the_journal(shop: Loaded, tmp_path: Path) -> None:
    with opened(shop) as store:
        spec = spec_of(shop, sample=0.3, seed=9, window=hours(20))
        made = train(store, shop.pipeline, spec, tmp_path / "out")
        learned = made.lineage.learned
        newest = max(p.at for block in store.blocks() for p in block.predictions)
        slots: dict[int, Prediction] = {}
        chain, numbers, number = b"", [], -1
        for block in store.blocks():
            slots.update(dict(enumerate(block.predictions, len(slots))))
            for row in block.examples:
                number += 1
                prediction = slots[row.slot]
                if any(first <= number <= last for first, last in learned.ranges or []):
                    told = msgspec.msgpack.encode((prediction.event_id, prediction.features, row.truth))
                    chain = hashlib.blake2b(chain + told, digest_size=16).digest()
                    numbers.append(number)
                    assert row.position >= 0
                    assert prediction.at > newest - to_us(hours(21.6))
        assert (len(numbers), chain.hex()) == (learned.count, learned.digest)
        assert store.block(made.lineage.until).seq == store.seq
        assert made.lineage.head == store.head.hex()


def test_what_is_held_back_is_never_learned_and_another_seed_draws_another_sample(shop: Loaded) -> None:
    with opened(shop) as store:
        whole = choose(store, Examples(held_back=0.0), store.seq)
        last = choose(store, Examples(held_back=0.25), store.seq)
        assert [*last.learn, *last.judge] == list(whole.learn)
        assert len(last.judge) == -(-len(whole.learn) // 4)
        drawn = choose(store, Examples(held_back=0.25, held_back_by="sample", seed=1), store.seq)
        assert sorted([*drawn.learn, *drawn.judge]) == list(whole.learn)
        assert not set(drawn.learn) & set(drawn.judge)
        assert 0.2 < len(drawn.judge) / len(whole.learn) < 0.3
        ones, twos = (choose(store, Examples(sample=0.5, seed=seed), store.seq).learn for seed in (1, 2))
        assert ones != twos
        assert ones == choose(store, Examples(sample=0.5, seed=1), store.seq).learn
        assert list(choose(store, Examples(last=100, held_back=0.0), store.seq).learn) == list(whole.learn)[-100:]
        assert choose(store, Examples(window=days(365)), store.seq) == choose(store, Examples(), store.seq)


def test_a_folder_belongs_to_one_training(shop: Loaded, tmp_path: Path) -> None:
    with opened(shop) as store:
        train(store, shop.pipeline, spec_of(shop), tmp_path / "out")
        with pytest.raises(StoreMismatch, match="it differs in examples"):
            train(store, shop.pipeline, spec_of(shop, last=100), tmp_path / "out")
        other = preprocessing.StandardScaler() | linear_model.LogisticRegression(l2=0.1)
        with pytest.raises(StoreMismatch, match="it differs in model"):
            train(store, shop.pipeline, Spec(name="shop.r1", model=adapt(other)), tmp_path / "out")
        held = WriterLock(tmp_path / "out" / "training")
        with pytest.raises(StoreLocked):
            train(store, shop.pipeline, spec_of(shop), tmp_path / "out")
        held.release()


def test_a_state_that_was_changed_on_disk_is_refused(shop: Loaded, tmp_path: Path) -> None:
    process = child(shop, tmp_path / "out", "shop")
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.stdout.close()
    process.wait()
    path = tmp_path / "out" / "state.bin"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    with opened(shop) as store, pytest.raises(StoreCorrupt):
        train(store, shop.pipeline, spec_of(shop), tmp_path / "out")


def test_features_that_fail_leave_their_examples_out_and_say_so(shop: Loaded, tmp_path: Path) -> None:
    def shy(visit: Any) -> dict[str, float]:
        if visit.country == "US":
            raise ValueError("not for me")
        return {"pages": visit.pages}

    maker = shop.pipeline.replace(features=shy, challengers=()).plan().serve.maker
    with opened(shop) as store:
        spec = Spec(name="shop.r1", model=shop.pipeline.plan().model, maker=maker)
        made = train(store, shop.pipeline, spec, tmp_path / "out")
        chosen = chosen_by(store, spec, made)
        silent = [sample for sample in reader_of(store, shop.pipeline, spec).read(chosen.learn) if sample.features is None]
    assert made.lineage.unseen == len(silent) > 300
    assert made.lineage.learned.count == len(chosen.learn) - len(silent)
    assert "ValueError: not for me" in made.lineage.why_unseen


@pytest.mark.parametrize("wrong", [{"window": 3}, {"last": 0}, {"sample": 1.5}, {"held_back": 1.0}, {"held_back_by": "luck"}])
def test_a_choice_of_examples_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match=next(iter(wrong))):
        Examples(**wrong)


def test_a_spawned_training_runs_beside_and_gives_its_result(shop: Loaded, tmp_path: Path) -> None:
    from eddyline.cli.main import COMMANDS

    if "retrain" not in COMMANDS:
        pytest.skip("did not run: `eddyline retrain` is not among the commands")
    spawned = spawn(str(shop.file), shop.store, tmp_path / "out", examples=1000, name="shop.r7")
    steps_back = set()
    while not spawned.done():
        steps_back.add(os.getpriority(os.PRIO_PROCESS, spawned.process.pid))
        with contextlib.suppress(subprocess.TimeoutExpired):
            spawned.process.wait(0.05)
    assert max(steps_back) == min(os.getpriority(os.PRIO_PROCESS, 0) + 19, 19)
    found = spawned.result()
    assert (found["name"], found["learned"], found["passed"]) == ("shop.r7", 800, True)
    with Store.read(shop.store).db as db:
        assert db.execute("SELECT count(*) FROM inbox").fetchone() == (0,)
