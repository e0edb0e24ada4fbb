"""FireWorks: its version, its launchpad, and who can read the password in its file."""

from __future__ import annotations

import importlib.metadata
import stat
from pathlib import Path

from aga.store.connect import read_launchpad
from aga.tasks.doctor.database import opened
from aga.tasks.doctor.finding import Context, Finding

__all__ = ["launchpad", "launchpad_file"]


def launchpad(context: Context) -> list[Finding]:
    """Tell whether the launchpad is ready, and how many fireworks are in which state."""
    version = importlib.metadata.version("FireWorks")
    with opened(context) as found:
        if found is None:
            told = f"FireWorks {version} is installed; there is no database to look at"
            return [Finding(name="fireworks", state="absent", message=told)]
        ready = found.database["fw_id_assigner"].find_one({}) is not None
        groups = found.database["fireworks"].aggregate(
            [{"$group": {"_id": "$state", "count": {"$sum": 1}}}, {"$sort": {"_id": 1}}]
        )
        counts = {str(group["_id"]): int(group["count"]) for group in groups}
    facts = {"version": version, "ready": ready, "fireworks": counts}
    if not ready:
        told = f"FireWorks {version}; the launchpad is empty, the first `aga run` makes it"
        return [Finding(name="fireworks", state="ok", message=told, facts=facts)]
    states = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no fireworks"
    lost = counts.get("FIZZLED", 0)
    return [
        Finding(
            name="fireworks",
            state="warn" if lost else "ok",
            message=f"FireWorks {version}: {states}",
            remedy="`aga recover` hands their steps out again; `lpad get_fws -s FIZZLED` lists them"
            if lost
            else None,
            facts=facts,
        )
    ]


def launchpad_file(context: Context) -> list[Finding]:
    """Tell whether others can read the password in the launchpad file."""
    named = context.launchpad or context.machine.launchpad
    path = named or Path("my_launchpad.yaml")
    if named is None and not path.is_file():
        return []
    _, _, options = read_launchpad(path)
    mode = stat.S_IMODE(path.stat().st_mode)
    secret, open_to_others = bool(options.get("password")), bool(mode & 0o077)
    unsafe = secret and open_to_others
    held = "with a password" if secret else "without a password"
    return [
        Finding(
            name="launchpad file",
            state="warn" if unsafe else "ok",
            message=f"{path} ({held}) has mode {mode:04o}"
            + (": others can read it" if unsafe else ""),
            remedy=f"chmod 600 {path}" if unsafe else None,
            facts={"path": str(path), "mode": f"{mode:04o}", "password": secret},
        )
    ]
