"""An emulated AWS for the tests of this folder."""

from tests.unit.operations.emulated import aws, emulator

__all__ = ["aws", "emulator"]
