"""The command `course`: each subcommand is a module of `course_lib.notebook.commands`."""

import argparse
import importlib
import pkgutil
import sys

from course_lib.notebook import commands


def build_parser() -> argparse.ArgumentParser:
    """The parser of `course` with one subparser per module of `commands`."""
    parser = argparse.ArgumentParser(prog="course", description="How large language models train")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module_info in pkgutil.iter_modules(commands.__path__):
        module = importlib.import_module(f"{commands.__name__}.{module_info.name}")
        subparser = subparsers.add_parser(
            module_info.name, help=module.HELP, description=module.HELP
        )
        module.add_arguments(subparser)
        passes_on = getattr(module, "PASSES_ON", False)
        subparser.set_defaults(run=module.run, passes_on=passes_on)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a user's mistake (ValueError, OSError) is one line, exit code 2.

    A command whose module says PASSES_ON finds what the parser does not know in `unknown`.
    """
    parser = build_parser()
    parsed, parsed.unknown = parser.parse_known_args(arguments)
    if parsed.unknown and not parsed.passes_on:
        parser.error(f"unrecognized arguments: {' '.join(parsed.unknown)}")
    try:
        return parsed.run(parsed)
    except (ValueError, OSError) as error:
        print(f"course {parsed.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
