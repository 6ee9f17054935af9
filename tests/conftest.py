"""What all tests may ask for."""

from __future__ import annotations

from nvml.standin import machine, nvml_library, old_nvml_library

__all__ = ["machine", "nvml_library", "old_nvml_library"]
