"""The export command: what passes is written and named, what fails is not there afterwards."""

import pytest
import torch

from streamseg import cli, config
from streamseg.engines.files import write_whole
from streamseg.engines.manifest import read_manifest, trusted_bytes
from streamseg.export import command
from streamseg.export.build import Made
from streamseg.propagation.xmem.propagator import NeuralPropagator

ONE = ["--set", "propagation.xmem.engine.objects=[1]"]
SMALL = ["--set", "propagation.xmem.height=48", *ONE]


def export(folder, *words):
    with pytest.raises(SystemExit) as done:
        cli.main(["export", "-c", "selftest", "-o", str(folder), *SMALL, *words])
    return done.value.code


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The key encoder, value encoder and decoder of the selftest network, at 48 lines."""
    folder = tmp_path_factory.mktemp("exported")
    names = "xmem_key,xmem_value_deep,xmem_decode"
    assert export(folder, "--parts", names) == 0
    return folder


def test_files_and_manifest_are_there_and_nothing_else(exported):
    entries = {entry.part: entry for entry in read_manifest(exported)}
    assert set(entries) == {"xmem_key", "xmem_value_deep_n1", "xmem_decode_n1"}
    for entry in entries.values():
        assert len(trusted_bytes(exported, entry)) == entry.nbytes
        assert entry.difference < 1e-4
        assert entry.opset == 20
        assert "torch" in entry.versions
    left = {path.name for path in exported.iterdir()} - {entry.file for entry in entries.values()}
    assert left == {"manifest.json", "manifest.json.lock", ".lock"}
    assert entries["xmem_key"].inputs[0].shape == (1, 3, 48, 96)


def test_the_loop_runs_on_what_was_exported(exported, tmp_path, monkeypatch):
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    settings = config.load(
        "selftest",
        [
            "propagation.xmem.height=48",
            "propagation.xmem.engine.family=onnxruntime",
            f"propagation.xmem.engine.folder={exported}",
            "propagation.xmem.engine.objects=[1]",
        ],
    )
    propagator = NeuralPropagator.from_config(settings.propagation.xmem)
    core = propagator._core
    core.step(torch.zeros(3, 48, 96), torch.ones(1, 48, 96))
    core.step(torch.zeros(3, 48, 96))
    assert propagator.engines()["parts"]["xmem_decode_n1"] == "onnxruntime"
    assert not (tmp_path / "cache").exists()


def test_a_plan_is_built_for_a_card_that_is_not_here(tmp_path, capsys):
    words = ["--format", "tensorrt-rtx", "--target", "sm89", "--parts", "xmem_read"]
    assert export(tmp_path, *words) == 0
    (entry,) = read_manifest(tmp_path)
    assert entry.file == "xmem_read_n1.fp32.sm89.tensorrt-rtx.plan"
    assert entry.target == "sm89"
    assert (tmp_path / entry.file).stat().st_size == entry.nbytes
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["part", "size"]
    assert "built, not run: no such card here" in row


def test_a_part_that_differs_fails_the_command_and_is_not_written(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(command.make.__globals__["LIMITS"], "fp32", 1e-12)
    assert export(tmp_path, "--parts", "xmem_read") == 1
    assert "FAILED: " in capsys.readouterr().out
    assert read_manifest(tmp_path) == []
    assert [path.name for path in tmp_path.glob("*.onnx")] == []


def test_a_loop_that_differs_withdraws_every_part(tmp_path, monkeypatch):
    def fake_make(part, order, weights):
        write_whole(order.staging / f"{part.name}.onnx", b"")
        return Made(part.name, object(), 1.0, 0.0, "equal")

    failed = Made("xmem loop", None, 0.0, 0.5, "FAILED: other masks")
    monkeypatch.setattr(command, "make", fake_make)
    monkeypatch.setattr(command, "_judge_loop", lambda *_: failed)
    settings = config.load("selftest", ["segmentation.backend=grabcut", *SMALL[1::2]])
    rows = command.export(settings, command.Wanted(), tmp_path, lambda *_: None)
    parts = ("key", "value_n1", "value_deep_n1", "read_n1", "decode_n1", "fuse_n1", "window_n1")
    assert [row.part for row in rows] == [*(f"xmem_{part}" for part in parts), "xmem loop"]
    assert not any(row.passed for row in rows)
    assert all(row.verdict.startswith("FAILED") for row in rows)
    assert read_manifest(tmp_path) == []
    assert list(tmp_path.glob("*.onnx")) == []


def test_an_interruption_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(part, order, weights):
        write_whole(order.staging / f"{part.name}.onnx", b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "make", interrupted)
    assert export(tmp_path, "--parts", "xmem_key") in {1, 130}
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--parts", "xmem_kee"], "no part 'xmem_kee' (did you mean 'xmem_key'?); there are: "),
        (["--format", "tflite"], "expected --format onnx, tensorrt, tensorrt-rtx, got 'tflite'"),
        (
            ["--precision", "int8"],
            "--precision fp32, fp16, bf16 for these parts, got int8",
        ),
        (
            ["--parts", "xmem_read", "--format", "tensorrt-rtx", "--target", "sm60"],
            "expected a target of tensorrt-rtx",
        ),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_code_2(tmp_path, capsys, words, told):
    words = [*words, "--set", "segmentation.backend=grabcut"]
    assert export(tmp_path, *words) == 2
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 1


def test_a_config_without_a_network_says_which_have_one(tmp_path, capsys):
    with pytest.raises(SystemExit) as done:
        cli.main(["export", "-c", "classical", "-o", str(tmp_path)])
    assert done.value.code == 2
    assert "config 'classical' runs no network" in capsys.readouterr().err
