"""course doctor: what this machine has, what is wrong and what to do about it."""

import argparse

HELP = "check the installation and measure this machine, with a remedy for each problem"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--report", action="store_true", help="print only the text to paste into a report"
    )


def run(arguments: argparse.Namespace) -> int:
    from course_lib.notebook.doctor import as_report, as_table, examine

    findings = examine()
    if not arguments.report:
        print(as_table(findings), "\n\nTo paste into a report:\n", sep="")
    print(as_report(findings))
    return int(any(finding.is_broken for finding in findings.values()))
