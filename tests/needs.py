"""What a test needs of the machine beside Python."""

from __future__ import annotations

import os

import pytest


def need(found: object, missing: str) -> None:
    """Skip the test for want of something; under CI, where all of it is installed, fail it."""
    if not found:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
