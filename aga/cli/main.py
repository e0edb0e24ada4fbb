"""Entry point of the command `aga`: the commands together, and what becomes of their errors."""

from __future__ import annotations

import errno
import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import aga
from aga.errors import AgaError, DiskFullError

__all__ = ["build_app", "main"]

INTERRUPTED = 130
UNEXPECTED = 1
USAGE = 2

MODULES = (
    *("settings", "run", "submit", "jobs", "ask", "timeline", "structures", "train", "evaluate"),
    *("potential", "tune", "database", "doctor", "bench"),
)
"""Modules of this package that add commands with their ``register(app)``, as the help has them."""


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - the parser's signature
    if wanted:
        sys.stdout.write(f"aga {aga.__version__}\n")
        raise typer.Exit


def build_app() -> typer.Typer:
    """Put the commands of all modules together."""
    app = typer.Typer(
        name="aga",
        help="Adaptive genetic algorithm crystal structure search with neural network potentials.",
        epilog="Start with `aga init Si8`, then `aga run Si8.yaml` and `aga best`.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def top(
        *,
        version: Annotated[
            bool,
            typer.Option(
                "--version",
                help="Print the version and end.",
                is_eager=True,
                callback=_print_version,
            ),
        ] = False,
    ) -> None:
        del version  # its callback has done it

    for module in MODULES:
        importlib.import_module(f"aga.cli.{module}").register(app)
    return app


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments
        Those of the command line; of this process where None.

    Returns
    -------
    int
        The exit code; docs/reference/exit-codes.md lists them.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = build_app()(words, prog_name="aga", standalone_mode=False)
        sys.stdout.flush()  # a full disk behind it should show here
    except BrokenPipeError:  # `aga … | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is, the user gets a message and a code
        return _explain(error, as_json="--json" in words)
    if code == INTERRUPTED:
        sys.stderr.write("interrupted; nothing stored is lost\n")
    return code if isinstance(code, int) else 0


def _explain(error: Exception, *, as_json: bool) -> int:
    if isinstance(error, AgaError):
        return _report(error, as_json=as_json)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _report(_disk_full(error), as_json=as_json)
    if hasattr(error, "format_message"):  # the parser's own: an unknown option, say
        return _misused(error, as_json=as_json)
    return _unexpected(error, as_json=as_json)


def _report(error: AgaError, *, as_json: bool) -> int:
    if as_json:
        _print_json(error.to_dict())
    else:
        from aga.cli.console import show_error

        show_error(error.message, error.remedy)
    return error.exit_code


def _disk_full(error: OSError) -> DiskFullError:
    place = f" at {error.filename}" if error.filename else ""
    return DiskFullError(
        f"there is no space left{place}",
        remedy="free some space and give the same command again; nothing stored is lost",
        path=None if error.filename is None else str(error.filename),
    )


def _misused(error: Exception, *, as_json: bool) -> int:
    message = str(error.format_message())  # type: ignore[attr-defined] # seen by the caller
    code = int(getattr(error, "exit_code", USAGE))
    context = getattr(error, "ctx", None)
    if context is not None and type(error).__name__ == "NoArgsIsHelpError":  # `aga` alone
        sys.stdout.write(context.get_help() + "\n")
        return code
    command = context.command_path if context is not None else "aga"
    remedy = f"`{command} --help` shows what there is"
    if as_json:
        facts = {"command": command}
        _print_json(
            AgaError(message, remedy=remedy, **facts).to_dict()
            | {"error": "UsageError", "kind": "input", "exit_code": code}
        )
    else:
        from aga.cli.console import show_error

        show_error(message, remedy)
    return code


def _unexpected(error: Exception, *, as_json: bool) -> int:
    """Keep the traceback in a file and tell where."""
    from aga.cli.console import keep_traceback, show_error

    log = keep_traceback(error)
    message = f"unexpected {type(error).__name__}: {error}"
    where = f"; the traceback is in {log}" if log is not None else ""
    remedy = f"this is a mistake in aga, please report it{where}"
    if as_json:
        _print_json(AgaError(message, remedy=remedy, log=log).to_dict() | {"kind": "unexpected"})
    else:
        show_error(message, remedy)
    return UNEXPECTED


def _print_json(document: dict[str, object]) -> None:
    text = json.dumps({"schema": 1, **document}, ensure_ascii=False, default=str, allow_nan=False)
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
