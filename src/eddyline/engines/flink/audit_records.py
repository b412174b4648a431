"""The first half of an audit, record against record: each event answered once, each position once, each label applied once.

Counts and compares what was recorded; computes no answer and no example again.
"""

from __future__ import annotations

from eddyline.connectors.kafka import wire
from eddyline.engines.flink.audit_book import Book
from eddyline.stages.bouts import party
from eddyline.stages.rollouts import champion_of


def check_events(book: Book) -> None:
    """Every event was answered once, or is a dead letter, or repeats one that was answered; and nothing else was answered."""
    add = book.faults.add
    for origin, reason in book.rows(
        "SELECT id, reason FROM letters WHERE stream = 'events' AND content IS NULL",
    ):
        add(f"a dead letter ({reason}) is about event {origin!r}, and the events topic has no such event")
    for event_id, count, shard in book.rows(
        "SELECT id, COUNT(*), shard FROM predictions GROUP BY id, shard HAVING COUNT(*) > 1"
    ):
        add(f"event {event_id!r} was answered {count} times in shard {shard}, expected once")
    for event_id, shard in book.rows(
        "SELECT id, shard FROM predictions p WHERE NOT EXISTS"
        " (SELECT 1 FROM contents c WHERE c.id = p.id AND c.shard = p.shard)"
    ):
        add(f"event {event_id!r} was answered in shard {shard}, and the events topic has no such event for that shard")
    open_contents = """SELECT c.id, c.shard, e.origin, c.came, c.refused, (SELECT COUNT(*) FROM contents o
      WHERE o.id = c.id AND o.shard = c.shard AND o.came > o.refused),
      EXISTS (SELECT 1 FROM predictions p WHERE p.id = c.id AND p.shard = c.shard)
      FROM contents c JOIN events e ON e.n = c.event"""
    for event_id, shard, origin, came, refused, unrefused, answered in book.rows(open_contents):
        named = f"event {event_id!r} ({origin})" if event_id is not None else f"the event at {origin}, which cannot be read,"
        if refused > came:
            add(f"{named} came {came} times and was refused {refused} times")
        elif came > refused and not answered:
            add(f"{named} came {came} times, was refused {refused} times and never answered")
        elif came > refused and unrefused > 1:
            add(f"{named} came with other fields than the one that was answered, and is not in the dead letters")
        elif answered and not unrefused:
            add(f"{named} was refused each time it came, and answered in shard {shard} nevertheless")
    _check_places(book)


def _check_places(book: Book) -> None:
    add = book.faults.add
    places = """SELECT shard, place, COUNT(*) FROM (SELECT shard, place FROM predictions UNION ALL
      SELECT shard, place FROM letters WHERE shard IS NOT NULL) GROUP BY shard, place HAVING COUNT(*) > 1"""
    for shard, place, count in book.rows(places):
        add(f"place {shard}.{place} was given to {count} records, expected one")
    unreadable = book.one("SELECT COUNT(*) FROM events WHERE id IS NULL")
    book.db.execute("CREATE TEMP TABLE belong AS SELECT shard, COUNT(*) AS came FROM events GROUP BY shard")
    ends = """SELECT shard, MAX(place), COALESCE((SELECT came FROM belong WHERE belong.shard = p.shard), 0) FROM (SELECT shard,
      place FROM predictions UNION ALL SELECT shard, place FROM letters WHERE shard IS NOT NULL) p GROUP BY shard"""
    for shard, last, came in book.rows(ends):
        if last > came + unreadable:
            add(f"shard {shard} counts to place {last}, and only {came} events belong to it")
    for event_id, reason in book.rows("SELECT id, reason FROM letters WHERE stream = 'events' AND place IS NULL"):
        add(f"the dead letter ({reason}) of event {event_id!r} has no place in the order of its shard")


def check_twice(book: Book) -> int:
    """Ids that two keys share are answered once by each; join takes one, the others are dead letters. Gives how many."""
    add, found = book.faults.add, 0
    shared = """SELECT p.id, COUNT(*), SUM(EXISTS (SELECT 1 FROM letters l WHERE l.stream = 'predictions' AND l.sha = p.sha))
      FROM predictions p GROUP BY p.id HAVING COUNT(DISTINCT shard) > 1"""
    for event_id, answers, refused in book.rows(shared):
        found += 1
        if refused != answers - 1:
            add(f"event {event_id!r} was answered under {answers} keys; {refused} of these are refused, expected all but one")
    for (event_id,) in book.rows("SELECT id FROM letters WHERE stream = 'predictions'"):
        if book.one("SELECT COUNT(DISTINCT shard) FROM predictions WHERE id = ?", event_id) < 2:
            add(f"an answer to event {event_id!r} was refused as a second one, and there is no other")
    return found


def check_examples(book: Book) -> None:
    """Positions are 1, 2, 3, ...; each example holds its prediction byte for byte; each truth was applied once."""
    add, expected = book.faults.add, 1
    for position, event_id in book.rows("SELECT position, id FROM examples WHERE position >= 0 ORDER BY position"):
        if position != expected:
            add(f"the example of event {event_id!r} has position {position}, expected {expected}")
        expected = position + 1
    for event_id, revision, count in book.rows(
        "SELECT id, revision, COUNT(*) FROM examples GROUP BY id, revision HAVING COUNT(*) > 1"
    ):
        add(f"event {event_id!r} has {count} examples of revision {revision}, expected one: a truth was applied twice")
    for event_id, count, newest in book.rows(
        "SELECT id, COUNT(*), MAX(revision) FROM examples GROUP BY id HAVING MAX(revision) != COUNT(*) - 1"
    ):
        add(f"event {event_id!r} has {count} examples, and the newest is revision {newest}, expected {count - 1}")
    for (event_id,) in book.rows("SELECT id FROM examples GROUP BY id, truth HAVING COUNT(*) > 1"):
        add(f"two examples of event {event_id!r} have the same truth, expected a repeated truth to be left out")
    _check_held(book)
    _check_unlearned(book)


def _check_held(book: Book) -> None:
    add = book.faults.add
    for event_id, position, raw in book.rows("SELECT id, position, raw FROM examples"):
        held = wire.encode_prediction(wire.decode_example(raw)[0].prediction)
        known = [one for (one,) in book.rows("SELECT raw FROM predictions WHERE id = ?", event_id)]
        if not known:
            add(f"the example of event {event_id!r} at position {position} holds an answer that was never given")
        elif held not in known:
            add(f"the example of event {event_id!r} at position {position} holds another answer than was given")


def _check_unlearned(book: Book) -> None:
    """Whose truth is a dead letter has no position, and no correction has one where they are only recorded."""
    add, learns_revisions = book.faults.add, book.pipeline.join.revisions == "learn"
    for (event_id,) in book.rows(
        "SELECT id FROM letters WHERE stream = 'examples' AND sha NOT IN (SELECT sha FROM examples WHERE position < 0 OR ?)",
        book.per_key,  # then it has its number before its key's model refuses it
    ):
        add(f"a dead letter says that the truth of event {event_id!r} was not learned, and there is no such example")
    if not learns_revisions:
        for event_id, position in book.rows("SELECT id, position FROM examples WHERE revision > 0 AND position >= 0"):
            add(f"a correction of event {event_id!r} was learned at position {position}, expected it to be recorded only")


def check_names(book: Book) -> None:
    """Each answer names a version that was published and a rollout that chose it.

    Models per key publish none but those that were asked for: whether they are right is shown where they answer again
    (`audit_per_key`).
    """
    add, rollouts = book.faults.add, book.rollouts
    revisions = sorted(rollouts)
    if revisions != list(range(1, len(revisions) + 1)):
        add(f"the rollouts have the revisions {revisions}, expected 1 to {len(revisions)}")
    declared = book.pipeline.plan().lines
    for model, position, revision, first, count in book.rows(
        "SELECT model, position, revision, MIN(id), COUNT(*) FROM predictions GROUP BY model, position, revision"
    ):
        said = f"event {first!r} (and {count - 1} more) was answered by {model}@{position}"
        made = (position == 0 and model in declared) or (book.per_key and model == book.pipeline.name)
        if not made and book.one("SELECT 1 FROM versions WHERE model = ? AND position = ?", model, position) is None:
            add(f"{said}, which was never published")
        rollout = book.rollout(revision)
        if rollout is None:
            add(f"{said} in rollout {revision}, which was never recorded")
            continue
        champion = champion_of(rollout, book.pipeline.name)
        answering = [champion, *(place.who for place in rollout.places if place.mode != "shadow")]
        if not any(party(who) in ((model, -1), (model, position)) for who in answering):
            add(f"{said} in rollout {revision}, which chose {champion}")
    for stream, count in book.rows("SELECT stream, COUNT(*) FROM letters GROUP BY stream"):
        if stream not in ("events", "labels", "predictions", "examples", "commands"):
            add(f"{count} dead letters are of a stream {stream!r}, which there is not")
