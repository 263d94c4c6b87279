"""The command line: `mrt CONFIG`, `mrt COMMAND …`; see `mrt --help`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from cvm import verification
from cvm.ending import BAD_INPUT, ended
from cvm.errors import CVMError
from rich.console import Console
from rich.logging import RichHandler

from mrt import memory, zoo
from mrt.advice import Advice, advised
from mrt.config import Config, load
from mrt.errors import MRTError
from mrt.frontends.onnx.file import is_onnx
from mrt.frontends.onnx.inputs import shape_in_words
from mrt.report import Progress, compare
from mrt.report import command as report_command
from mrt.report.summary import summary
from mrt.run import draft
from mrt.run.claim import claimed
from mrt.targets.onnx import command as export_command
from mrt.tasks import Local
from mrt.version import __version__
from mrt.view import command as view_command
from mrt.zoo import command as zoo_command

__all__ = ["main"]

_COMMANDS = (
    "run",
    "sensitivity",
    "ablate",
    "train",
    "ops",
    "zoo",
    "report",
    "compare",
    "verify",
    "export",
    "init",
    "inspect",
    "diff",
    "completion",
)
_EXAMPLES = {
    "run": "mrt net.ini --start CALIBRATION --set QUANTIZATION.Precision=auto",
    "sensitivity": "mrt sensitivity net.ini --pictures 50",
    "ablate": "mrt ablate net.ini --quick",
    "train": "mrt train net.ini --set TRAIN.Epochs=10",
}
_FILES = ("CONFIG", "MODEL_DIR")
_PICTURES = 100
_RAY_PARTS = 16  # nodes may come and go: more parts than one would have processes


class _Parser(argparse.ArgumentParser):
    """argparse, with errors in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"mrt: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (sys.argv by default); return the exit status.

    0: done; 1: a check failed; 2: bad input, named in one line on standard error; 130: interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    return ended("mrt", lambda: _command(given), (MRTError, CVMError), advised)


def _command(arguments: list[str]) -> int:
    console = Console(stderr=True)
    options = _parse(arguments)
    _log_to(console, logging.WARNING)
    if options.command == "ops":
        _ops()
    elif options.command == "zoo":
        return zoo_command.execute(options, console)
    elif options.command == "completion":
        _completion(options.shell)
    elif options.command in _OWN:
        return int(_OWN[options.command].execute(options))
    else:
        shape = shape_in_words(options.config) if is_onnx(options.config) else ""
        config = load(options.config, options.set, options.start, options.device, options.data, shape)
        _log_to(console, max(logging.WARNING, config.default.verbosity) if options.quiet else config.default.verbosity)
        progress = Progress(console)
        _ACTIONS[options.command](config, progress, options)
    return 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    if arguments and arguments[0] not in (*_COMMANDS, "-h", "--help", "--version"):
        arguments = ["run", *arguments]
    return _parser().parse_args(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="mrt",
        description="Compile a trained MXNet / Gluon network to an integer-only CVM model.",
        epilog="`mrt CONFIG` is short for `mrt run CONFIG`. Example: mrt mrt/zoo/digits.ini",
    )
    parser.add_argument("--version", action="version", version=f"mrt {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in (
        ("run", "prepare, calibrate, quantize, evaluate and compile, as the configuration says"),
        ("sensitivity", "measure what quantizing each operator costs, and why"),
        ("ablate", "measure what each switch of quantization gains"),
        ("train", "make the model's weights as its [TRAIN] section says"),
    ):
        command = commands.add_parser(name, help=text, description=text, epilog=f"Example: {_EXAMPLES[name]}")
        command.add_argument("config", metavar="CONFIG", help="an INI file, a YAML file of MRT v3, or an .onnx model")
        command.add_argument(
            "--set", metavar="SECTION.Key=VALUE", action="append", default=[], help="replace one value; may be repeated"
        )
        command.add_argument(
            "--data", metavar="DATASET[:FOLDER]", help="of an .onnx model: the data, as folder:pictures/"
        )
        command.add_argument("--device", choices=("cpu", "gpu"), help="replace every Device_type")
        command.add_argument("--quiet", action="store_true", help="warnings and the result only")
        command.set_defaults(start=None)
        if name in ("run", "sensitivity"):
            command.add_argument("--start", metavar="STAGE", help="resume after this stage's checkpoint")
        if name == "sensitivity":
            command.add_argument(
                "--pictures",
                metavar="N",
                type=zoo_command.positive,
                default=_PICTURES,
                help=f"at most (default {_PICTURES})",
            )
        if name == "ablate":
            command.add_argument("--quick", action="store_true", help="leave out learned rounding, which takes minutes")
        if name == "run":
            command.add_argument(
                "--random-weights",
                action="store_true",
                help="a structural run: seeded weights, agreement with float, no accuracy",
            )
            where = command.add_mutually_exclusive_group()
            where.add_argument(
                "--jobs", metavar="N", type=zoo_command.positive, default=1, help="evaluate in N processes (default 1)"
            )
            where.add_argument("--ray", metavar="ADDRESS", help="evaluate on a Ray cluster that shares the folders")
    text = "list the supported operators, as a Markdown table"
    commands.add_parser("ops", help=text, description=text, epilog="Example: mrt ops")
    zoo_command.add_to(commands)
    for each in dict.fromkeys(_OWN.values()):
        each.add_to(commands)
    text = "print what makes a shell complete mrt's commands and options"
    completion = commands.add_parser(
        "completion", help=text, description=text, epilog="Example: mrt completion bash >> ~/.bash_completion"
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    return parser


def _completion(shell: str) -> None:
    import shtab  # only here

    parser = _parser()
    for action in _arguments(parser):
        if action.metavar == "NAME":
            action.choices = zoo.names()  # checked by the command itself, as all are meant where none is given
        elif action.type is Path or action.metavar in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    script = shtab.complete(parser, shell)
    # `mrt net.ini` begins with no command: files where nothing else fits.
    print(script.replace("complete -o bashdefault -F", "complete -o bashdefault -o default -F"))


def _arguments(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Of all commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from _arguments(each)


def _log_to(console: Console, level: int) -> None:
    """Log the package at `level`, beside the progress bars on a terminal, as plain lines elsewhere."""
    handler = RichHandler(console=console, show_path=False) if console.is_terminal else logging.StreamHandler()
    if not console.is_terminal:
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    handler.addFilter(Advice())
    logger = logging.getLogger("mrt")
    logger.handlers[:] = [handler]
    logger.setLevel(max(level, 1))
    logger.propagate = False


def _run(config: Config, progress: Progress, options: argparse.Namespace) -> None:
    from mrt import pipeline  # imports mxnet, which takes seconds

    if options.random_weights:
        config = pipeline.apart(config)
    with claimed(config.default.output_dir, config.default.model_name):
        if options.random_weights:
            report = pipeline.run(config, progress, random_weights=True, network=Path(options.config).stem)
        elif options.ray or options.jobs > 1:
            executor = zoo_command.cluster(options.ray) if options.ray else Local(options.jobs)
            report = pipeline.run(config, progress, parts=(executor, max(options.jobs, _RAY_PARTS * bool(options.ray))))
        else:
            report = pipeline.run(config, progress)
        report.peak_memory_bytes = memory.peak()
        written, _ = report.write(config.default.output_dir)
    print(summary(report), end="")
    print(f"report: {written}")


def _sensitivity(config: Config, progress: Progress, options: argparse.Namespace) -> None:
    from mrt.run.sensitivity import sensitivity  # imports mxnet, which takes seconds

    with claimed(config.default.output_dir, config.default.model_name):
        report = sensitivity(config, progress, options.pictures)
        written = report.write(config.default.output_dir)
    print(report.summary(), end="")
    print("report: " + ", ".join(map(str, written)))


def _ablate(config: Config, progress: Progress, options: argparse.Namespace) -> None:
    from mrt.run.ablation import ablation  # imports mxnet, which takes seconds

    with claimed(config.default.output_dir, config.default.model_name):
        report = ablation(config, progress, options.quick)
        written = report.write(config.default.output_dir)
    print(report.markdown(), end="")
    print("report: " + ", ".join(map(str, written)))


def _train(config: Config, progress: Progress, options: argparse.Namespace) -> None:
    if config.train is None:
        raise MRTError("the configuration has no [TRAIN] section; see mrt/config/example.ini")
    from mrt import train  # imports mxnet, which takes seconds
    from mrt.run.pictures import open_dataset

    settings = train.TrainSettings(**config.train.model_dump(exclude={"dataset", "dataset_dir"}))
    dataset = open_dataset(config, config.train.dataset, config.train.dataset_dir)
    prefix = config.default.model_dir / config.default.model_name
    with progress.stage("train", total=settings.epochs) as step:

        def show(epoch: train.Epoch) -> None:
            step.advance(epoch.number - step.done)

        if config.distillation is None:
            metrics = train.train(settings, dataset, prefix, show)
        else:
            from mrt.run.teach import train_with_teacher

            metrics = train_with_teacher(
                settings, config.distillation, dataset, config.default.input_shape, prefix, show
            )
    print(" ".join(f"{name}={value:.4g}" for name, value in metrics.items()))
    print(f"weights: {prefix}-symbol.json, {prefix}-0000.params")


def _ops() -> None:
    from mrt import ops  # imports mxnet, which takes seconds

    print(ops.documentation(), end="")


_OWN: Mapping[str, Any] = {
    "report": report_command,
    "compare": compare,
    "verify": verification,
    "export": export_command,
    "init": draft,
    "inspect": view_command,
    "diff": view_command,
}
_ACTIONS = {"run": _run, "sensitivity": _sensitivity, "ablate": _ablate, "train": _train}


if __name__ == "__main__":
    sys.exit(main())
