"""The numeric fingerprint: the same in every process of one installation, and readable where it differs."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys

import pytest

from eddyline.models.fingerprint import fingerprint

PROGRAM = "from eddyline.models.fingerprint import fingerprint; print(fingerprint())"


def fingerprint_elsewhere(**environment: str) -> str:
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return told.stdout.strip()


def test_it_names_the_versions_and_eight_hex_digits_of_arithmetic() -> None:
    assert re.fullmatch(r"eddy\d+-cp3\d+-np[\d.]+-river[\d.]+(-sklearn[\d.]+)?-[0-9a-f]{8}", fingerprint())


def test_another_process_has_the_same_arithmetic() -> None:
    one, other = fingerprint_elsewhere(PYTHONHASHSEED="1"), fingerprint_elsewhere(PYTHONHASHSEED="2")
    assert one == other
    assert one.split("-")[-1] == fingerprint().split("-")[-1]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="switches off parts of an x86-64 processor")
def test_a_processor_without_fma_is_noticed() -> None:
    plain = fingerprint_elsewhere(OPENBLAS_CORETYPE="Prescott", NPY_DISABLE_CPU_FEATURES="AVX2 FMA3 AVX512F AVX512_SKX")
    here = fingerprint_elsewhere()
    assert plain != here
    assert plain.rpartition("-")[0] == here.rpartition("-")[0]
