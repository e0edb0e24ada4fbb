"""What has bars on a terminal, and lines elsewhere: the bars begin and end with the work."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.progress import Progress

__all__ = ["Bars"]


class Bars:
    """Starts and stops its bars; ``_bars`` is None where the output is no terminal."""

    _bars: Progress | None = None

    def __enter__(self) -> Self:
        """Begin."""
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        if self._bars is not None:
            self._bars.stop()
