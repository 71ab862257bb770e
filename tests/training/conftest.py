"""What the tests of the training share. Without PyTorch, an extra of its own, none is collected."""

import importlib.util

import cv2
import pytest

from tools.train.pytorch import load_torch

HAS_TORCH = importlib.util.find_spec("torch") is not None

collect_ignore_glob = [] if HAS_TORCH else ["test_*.py"]

if HAS_TORCH:
    load_torch()  # before any test imports LiteRT


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Small networks are slower with more threads, and sums of several come out otherwise each time."""
    cv2.setNumThreads(1)
    load_torch().set_num_threads(1)
