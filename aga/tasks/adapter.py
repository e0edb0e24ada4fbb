"""The queue adapters and fworkers of a folder, and FireWorks' adapter with a time limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from fireworks.core.fworker import FWorker
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from aga.errors import AgaError, InputError
from aga.slurm.submission import submit_script
from aga.slurm.times import read_limit, write_limit

__all__ = ["FILES", "JobKind", "NotTakenError", "SlurmAdapter", "load_kind", "write_files"]

FILES = Path(__file__).resolve().parents[1] / "slurm" / "files"
"""Adapters and fworkers that come with the package."""

_NEEDED = ("_fw_name", "_fw_q_type", "rocket_launch")


class NotTakenError(BaseException):
    """Carries an error of ours through FireWorks' launcher, which swallows every Exception."""

    def __init__(self, cause: AgaError) -> None:
        super().__init__()
        self.cause = cause


class SlurmAdapter(CommonAdapter):  # type: ignore[misc] # FireWorks is untyped
    """FireWorks' adapter, but that a queue which hangs is given up and a refusal is told.

    The launcher makes a copy by this dotted name.
    """

    _fw_name: ClassVar[str] = "{{aga.tasks.adapter.SlurmAdapter}}"

    def submit_to_queue(self, script_file: str) -> str:
        """Submit the script; give the job's identifier."""
        try:
            return submit_script(Path(script_file), adapter=str(self.get("_file", "the adapter")))
        except AgaError as error:
            raise NotTakenError(error) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """One kind of job of a folder: the content of its adapter, and its fworker.

    ``file`` is the adapter's; ``name`` is ``ga``, ``oracle`` or ``train``.
    """

    name: str
    file: Path
    content: dict[str, Any]
    fworker: FWorker

    @property
    def partition(self) -> str | None:
        """Partition that it asks for; the cluster's default where None."""
        named = self.content.get("queue")
        return None if named is None else str(named)

    @property
    def walltime(self) -> float:
        """Seconds; infinite where the partition decides."""
        text = self.content.get("walltime")
        limit = None if text is None else read_limit(str(text))
        return math.inf if limit is None else limit

    @property
    def walltime_text(self) -> str:
        """The same for people."""
        return "no limit" if math.isinf(self.walltime) else write_limit(self.walltime)

    @property
    def warning(self) -> float:
        """Seconds before the end at which SLURM sends its signal; 0 where it sends none."""
        time = str(self.content.get("signal") or "").partition("@")[2]
        return float(time) if time.isdigit() else 0.0

    def adapter(self, job_name: str, words: str) -> SlurmAdapter:
        """Give the adapter of one job; ``words`` are added to the line that starts the worker."""
        values = {key: value for key, value in self.content.items() if not key.startswith("_fw")}
        line = f"{str(values['rocket_launch']).rstrip()} {words}"
        return SlurmAdapter(
            "SLURM",
            q_name=self.content.get("_fw_q_name"),
            template_file=self.content.get("_fw_template_file"),
            **{**values, "rocket_launch": line, "job_name": job_name, "_file": str(self.file)},
        )

    @property
    def job_name(self) -> str:
        """Name that the jobs' names begin with."""
        return str(self.content.get("job_name") or f"aga-{self.name}")


def load_kind(folder: Path, name: str) -> JobKind:
    """Read ``NAME.yaml`` and ``fworker_NAME.yaml`` of a folder.

    Raises
    ------
    aga.errors.InputError
        A file is missing, no YAML, or no adapter for SLURM; its walltime can't be read.
    """
    file = folder / f"{name}.yaml"
    content = _read(file)
    missing = [key for key in _NEEDED if not content.get(key)]
    if missing:
        raise InputError(
            f"{file}: no queue adapter of FireWorks: {', '.join(missing)} missing",
            remedy="`aga submit --init --files FOLDER` writes an example",
        )
    if content["_fw_q_type"] != "SLURM":
        raise InputError(
            f"{file}: an adapter for {content['_fw_q_type']}; `aga submit` knows SLURM",
            remedy="for other queues use FireWorks' qlaunch with the same file",
        )
    fworker = _read(folder / f"fworker_{name}.yaml")
    kind = JobKind(
        name=name,
        file=file,
        content=content,
        fworker=FWorker.from_dict(
            {"name": f"aga-{name}", "category": name, "query": "{}"} | fworker
        ),
    )
    try:
        _ = kind.walltime
    except InputError as error:
        raise InputError(f"{file}: walltime: {error.message}", remedy=error.remedy) from error
    return kind


def write_files(folder: Path) -> list[Path]:
    """Write the adapters and fworkers that come with the package; give the files written.

    Raises
    ------
    aga.errors.InputError
        The folder can't be written, or one of the files is there already.
    """
    targets = {source: folder / source.name for source in sorted(FILES.glob("*.yaml"))}
    for target in targets.values():
        if target.exists():
            raise InputError(
                f"{target} exists already",
                remedy="name another folder with --files, or remove it",
                file=str(target),
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source, target in targets.items():
            target.write_bytes(source.read_bytes())
    except OSError as error:
        raise InputError(
            f"{folder}: {error.strerror}", remedy="name another folder with --files"
        ) from error
    return list(targets.values())


def _read(file: Path) -> dict[str, Any]:
    try:
        content = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"there is no {file}",
            remedy="`aga submit --init` writes the files for SLURM into hpc/slurm; edit the "
            "settings at their top. Another folder is named by --files or machine.queue_dir",
            file=str(file),
        ) from error
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}", file=str(file)) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file}: not YAML: {error}", remedy="correct the line named", file=str(file)
        ) from error
    if not isinstance(content, dict):
        raise InputError(f"{file}: expected keys such as queue and walltime", file=str(file))
    return dict(content)
