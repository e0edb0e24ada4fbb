"""What comes next: pure functions of what a search has done, one for each schedule."""

from __future__ import annotations

from aga.tasks.schedule.concurrent import Situation, plan_concurrent
from aga.tasks.schedule.plan import MAY_FAIL, Plan
from aga.tasks.schedule.sequential import plan_next

__all__ = ["MAY_FAIL", "Plan", "Situation", "plan_concurrent", "plan_next"]
