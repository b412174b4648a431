"""An ONNX file as a model, answered by onnxruntime: one row at a time, one thread, no randomness.

Keeps *still*, *finite* (what is not a number is refused before it reaches the file) and *rebuild*: the same row gives the
same bytes, because there is no batch it could be part of and no second thread to share the sum with. onnxruntime is
imported when a model is declared. It knows no event, no stage and no store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eddyline.models.files import FileModel, Said, names_of, read_model_file
from eddyline.models.plain import plain_value
from eddyline.records import Features, Output, Scores, Task
from eddyline.records.errors import DeclarationError

_KINDS: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}
_LABELS = ("tensor(int64)", "tensor(int32)", "tensor(string)")
_RANDOM = ("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli")
_FLOAT32 = 3.4e38
_LARGEST: dict[Any, int] = {np.int64: 2**63, np.int32: 2**31, np.bool_: 2}
_SUM_WITHIN = 1e-3
"""How far from 1 the probabilities of a float32 graph may sum."""


class OnnxModel(FileModel):
    """A model out of an ONNX file: `model=OnnxModel("fraud.onnx", task=..., features=[...], classes=[...])`.

    Choose it to serve what was trained elsewhere (PyTorch, scikit-learn, XGBoost), as a challenger or as the champion. It
    answers and never learns. Answering one row takes about 15 µs for a small graph.

    `features` are the names of the columns in the order in which the graph takes them; a graph with one input a feature
    names them itself. `classes` are your classes in the graph's order, so that an answer of 1 becomes True:
    `classes=[False, True]`; they are needed where the graph gives only numbers. `scores=False` says that the second
    output is no probabilities (a `LinearSVC`), and it is not recorded. Numbers are cast to the graph's type, usually 32
    bits. For `Task.ANOMALY` a higher answer is stranger; scikit-learn's detectors say it the other way round and are
    turned.

    A challenger from a file, which answers beside the model and stays as it is:

        Challenger("net", model=OnnxModel("fraud.onnx", features=["amount", "age"], classes=[False, True]), learns=False)

    Raises DeclarationError for a file that is not ONNX, that draws random numbers, or that does not fit what is said.
    """

    kind = "onnx"

    def __init__(
        self,
        path: str | Path,
        *,
        task: Task = Task.CLASSIFICATION,
        features: Sequence[str] | None = None,
        classes: Sequence[Any] | None = None,
        scores: bool = True,
    ) -> None:
        raw, name = read_model_file(path)
        if not isinstance(task, Task):
            raise DeclarationError(f"model: task={task!r} is not a task\nwrite task=Task.CLASSIFICATION")
        said = Said(
            task,
            names_of("features", features, '["amount", "hour"]'),
            names_of("classes", classes, "[False, True]"),
            scores,
        )
        super().__init__(raw, name, said)

    def predict(self, features: Features) -> Output:
        """Answers one row; a feature that is missing, text or too large for the graph is said so."""
        return self._read(self._run(None, self._feed(features)))

    def _libraries(self) -> dict[str, str]:
        return {"onnxruntime": str(_onnxruntime().__version__)}

    # Opening ---------------------------------------------------------------------------------------------------------

    def _open(self, raw: bytes) -> None:
        for op in _RANDOM:
            if b"\x22" + bytes([len(op)]) + op.encode() in raw:  # op_type is field 4 of a node
                raise DeclarationError(
                    f"model: {self.name} draws random numbers ({op}), so the same event could get two answers\n"
                    "export the graph for inference, without sampling"
                )
        session = _session(raw, self.name)
        self._run: Callable[[None, dict[str, Any]], list[Any]] = session.run
        self._open_inputs(session.get_inputs())
        self._open_outputs(session.get_outputs())

    def _open_inputs(self, inputs: list[Any]) -> None:
        said = self._said
        for one in inputs:
            if one.type not in _KINDS:
                raise DeclarationError(
                    f"model: the input {one.name!r} of {self.name} is a {one.type}, expected numbers or text"
                )
        self._inputs = [(one.name, _KINDS[one.type]) for one in inputs]
        self._matrix = len(inputs) == 1 and not (said.features is None and _width(inputs[0]) == 1)
        if self._matrix:
            width = _width(inputs[0])
            if said.features is None:
                how_many = f"{width} numbers" if width else "numbers"
                raise DeclarationError(
                    f"model: {self.name} takes a row of {how_many} and does not say their names\n"
                    "name them in its order: features=[...]"
                )
            if width is not None and width != len(said.features):
                raise DeclarationError(f"model: {self.name} takes {width} features, features=[...] names {len(said.features)}")
            return
        names = [one.name for one in inputs]
        if said.features is not None and sorted(said.features) != sorted(names):
            unknown = sorted(set(said.features) ^ set(names))
            raise DeclarationError(
                f"model: {self.name} has one input a feature: {', '.join(names)}; features=[...] differs in {unknown[0]!r}\n"
                "leave features=[...] out, the file names them"
            )
        self._said = Said(said.task, names, said.classes, said.scores)

    def _open_outputs(self, outputs: list[Any]) -> None:
        task, classes = self._said.task, self._said.classes
        labels = [
            place for place, one in enumerate(outputs) if one.type in ("tensor(int64)", "tensor(string)", "tensor(int32)")
        ]
        numbers = [place for place, one in enumerate(outputs) if one.type in ("tensor(float)", "tensor(double)")]
        maps = [place for place, one in enumerate(outputs) if one.type.startswith("seq(map(")]
        self._label = labels[0] if labels else None
        self._maps = bool(maps)
        self._numbers = next(iter(maps or numbers), None)
        if task is not Task.CLASSIFICATION:
            if self._numbers is None or maps:
                shown = ", ".join(f"{one.name} {one.type}" for one in outputs)
                raise DeclarationError(f"model: {self.name} answers {shown}, and a {task.value} is one number\nsay its task=")
            return
        if self._numbers is None and self._label is None:
            raise DeclarationError(f"model: {self.name} has no output with classes or probabilities")
        if self._label is not None and not self._said.scores:
            return
        if self._numbers is not None and not maps and classes is None:
            raise DeclarationError(
                f"model: {self.name} gives probabilities without saying of what\n"
                "name the classes in its order: classes=[False, True]"
            )

    # Answering -------------------------------------------------------------------------------------------------------

    def _feed(self, features: Features) -> dict[str, Any]:
        if not self._matrix:
            return {name: self._cell(features, name, kind) for name, kind in self._inputs}
        name, kind = self._inputs[0]
        return {name: np.array([[self._fitting(features, column, kind) for column in self.columns]], dtype=kind)}

    def _cell(self, features: Features, name: str, kind: Any) -> Any:
        if kind is not object:
            return np.array([[self._fitting(features, name, kind)]], dtype=kind)
        value = self._value(features, name)
        if not isinstance(value, str):
            raise ValueError(f"feature {name!r} is {value!r}; {self.name} needs text there")
        return np.array([[value]], dtype=object)

    def _fitting(self, features: Features, name: str, kind: Any) -> float | int:
        """A number that the graph's type can hold."""
        number = self._number(features, name)
        if kind is np.float32:
            if not abs(number) <= _FLOAT32:
                raise ValueError(f"feature {name!r} is {number!r}; {self.name} computes in 32 bits, at most 3.4e38")
        elif kind is not np.float64 and (number != int(number) or not abs(number) < _LARGEST[kind]):
            raise ValueError(f"feature {name!r} is {number!r}; {self.name} takes whole numbers there ({np.dtype(kind)})")
        return number

    def _read(self, outputs: list[Any]) -> Output:
        task = self._said.task
        if task is not Task.CLASSIFICATION:
            assert self._numbers is not None
            number = float(np.asarray(outputs[self._numbers]).reshape(-1)[0])
            if task is Task.ANOMALY and self._label is not None:
                return Output(-number)  # a detector of scikit-learn's: higher is more usual
            return Output(number)
        scores = self._scores(outputs) if self._numbers is not None and (self._said.scores or self._label is None) else None
        if self._label is not None:
            return Output(self._class_of(plain_value(np.asarray(outputs[self._label]).reshape(-1)[0])), scores)
        assert scores is not None
        return Output(max(scores, key=scores.__getitem__), scores)

    def _scores(self, outputs: list[Any]) -> Scores:
        assert self._numbers is not None
        given = outputs[self._numbers]
        if self._maps:
            scores: Scores = {self._class_of(plain_value(name)): float(score) for name, score in given[0].items()}
        else:
            row = [float(score) for score in np.asarray(given).reshape(-1)]
            classes = self._said.classes
            assert classes is not None
            if len(row) == 1 and len(classes) == 2:
                row = [1.0 - row[0], row[0]]
            if len(row) != len(classes):
                raise ValueError(f"{self.name} gives {len(row)} probabilities, classes=[...] names {len(classes)}")
            scores = dict(zip(classes, row, strict=True))
        total = sum(scores.values())
        if abs(total - 1.0) > _SUM_WITHIN or min(scores.values()) < -_SUM_WITHIN:
            raise ValueError(
                f"{self.name} gave {scores!r}, which are no probabilities: end the graph in a softmax, "
                "or say scores=False where it answers classes too"
            )
        return {name: min(max(score, 0.0), 1.0) for name, score in scores.items()}  # 32 bits round beyond 0 and 1


def _width(one: Any) -> int | None:
    """How many columns an input has, where the file says it."""
    shape = one.shape
    return shape[-1] if len(shape) == 2 and isinstance(shape[-1], int) else None


def _onnxruntime() -> Any:
    try:
        import onnxruntime  # type: ignore[import-untyped]
    except ImportError as error:
        raise DeclarationError('model: an ONNX file needs onnxruntime\nrun: pip install "eddyline[onnx]"') from error
    return onnxruntime


def _session(raw: bytes, name: str) -> Any:
    """The graph, ready: on the processor, in this thread, with kernels that give the same bits every time."""
    runtime = _onnxruntime()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    options.log_severity_level = 4
    try:
        return runtime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class but Exception
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DeclarationError(
            f"model: {name} cannot be read as ONNX: {said}\n"
            "give a whole .onnx file; one whose weights lie in other files has to be saved as one file"
        ) from error
