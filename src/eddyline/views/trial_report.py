"""How a trial is told to others: JUnit XML for a CI system, Markdown for people. Decides nothing."""

from __future__ import annotations

from xml.etree import ElementTree

from eddyline.views.trial import Tried


def junit(tried: Tried, seconds: float) -> bytes:
    """One test suite, one test case a gate; a closed gate is a failure with its reason."""
    failed = sum(not result.passed for result in tried.gates)
    common = {"tests": str(len(tried.gates)), "failures": str(failed), "errors": "0", "time": f"{seconds:.3f}"}
    root = ElementTree.Element("testsuites", {"name": "eddyline test", **common})
    suite = ElementTree.SubElement(root, "testsuite", {"name": f"{tried.pipeline}.{tried.name}", "skipped": "0", **common})
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in facts(tried):
        ElementTree.SubElement(properties, "property", {"name": name, "value": _clean(value)})
    for result, sentence in zip(tried.gates, tried.asked, strict=True):
        named = {"classname": f"{tried.pipeline}.{tried.name}", "name": result.name, "time": "0"}
        case = ElementTree.SubElement(suite, "testcase", named)
        if not result.passed:
            failure = ElementTree.SubElement(case, "failure", {"message": _clean(result.said), "type": "gate"})
            failure.text = _clean(f"wanted: {sentence}\n{result.said}")
        else:
            ElementTree.SubElement(case, "system-out").text = _clean(result.said)
    ElementTree.indent(root)
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def markdown(tried: Tried) -> str:
    """A summary: the answer first, then every gate, then where the model comes from."""
    said = "passed every gate" if tried.passed else f"did not pass {sum(not one.passed for one in tried.gates)} of its gates"
    lines = [f"## {_cell(tried.name)} {said}" if tried.gates else f"## {_cell(tried.name)} has no gates", ""]
    if tried.gates:
        lines += ["| | gate | result |", "|---|---|---|"]
        for result, sentence in zip(tried.gates, tried.asked, strict=True):
            mark = "✅" if result.passed else "❌"
            lines.append(f"| {mark} | {_cell(sentence)} | {_cell(result.said)} |")
        lines.append("")
    lines += ["<details><summary>Where it comes from</summary>", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in facts(tried)]
    return "\n".join([*lines, "", "</details>", ""])


def facts(tried: Tried) -> list[tuple[str, str]]:
    """What was tried, on what, as names and values."""
    lineage = tried.lineage
    first, last = lineage.learned.first, lineage.learned.last
    span = "none"
    if first is not None and last is not None:
        span = f"positions {first.position:,} to {last.position:,}"
        if first.position < 0 or last.position < 0:  # the pipeline's own learner did not learn them
            span = f"numbers {first.number:,} to {last.number:,} of the log"
    how = "going on learning as the champion did" if tried.catches_up else "as it is"
    return [
        ("pipeline", tried.pipeline),
        ("model digest", tried.digest),
        ("recipe", lineage.recipe),
        ("continues", lineage.parent or "nothing: it started fresh"),
        ("examples", lineage.examples),
        ("learned", f"{tried.learned:,} ({span}), digest {lineage.learned.digest or '-'}"),
        ("refused while learning", f"{lineage.refused:,}"),
        ("left out", f"{lineage.unseen:,}{f': {lineage.why_unseen}' if lineage.unseen else ''}"),
        ("judged by", f"{tried.judged.count:,} held-back examples, {how}, digest {tried.judged.digest}"),
        ("without an answer", f"{tried.silent:,}{f': {tried.why_silent}' if tried.silent else ''}"),
        ("timed beside", tried.champion),
        ("journal", f"up to block {lineage.until}, chain head {lineage.head}"),
        ("numbers as", lineage.fingerprint),
    ]


def _cell(text: str) -> str:
    """Text that stays in its cell: users' names and errors are not markup."""
    flat = " ".join(_clean(text).split())
    for sign, written in (("\\", "\\\\"), ("|", "\\|"), ("<", "&lt;"), ("`", "\\`"), ("*", "\\*"), ("_", "\\_")):
        flat = flat.replace(sign, written)
    return flat


def _clean(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return "".join(sign if sign in "\n\t" or (sign >= " " and not "\ud800" <= sign <= "\udfff") else "?" for sign in text)
