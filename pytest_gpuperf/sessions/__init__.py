"""Fresh pytest processes: the process is a source of noise, so evidence comes from several."""

from pytest_gpuperf.sessions.calibration import calibrate

__all__ = ["calibrate"]
