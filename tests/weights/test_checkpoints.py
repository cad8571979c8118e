"""Files from strangers: read if they are weights, refused if not, never run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from streamseg.errors import CheckpointError
from streamseg.weights.checkpoints import check_shapes, read_state, shapes_of

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.ones(2)}


class Payload:
    """What an attacker would put into a pickle: a command run while it is read."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.trace}",)


def save(path: Path, state: object = STATE) -> Path:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=path.suffix != ".pt")
    return path


def halve(path: Path) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


@pytest.mark.parametrize("name", ["m.safetensors", "m.pth", "m.pt"])
def test_reads_what_was_saved(tmp_path: Path, name: str) -> None:
    state = read_state(save(tmp_path / name))
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[key], value) for key, value in STATE.items())


@pytest.mark.parametrize("name", ["m.safetensors", "m.pth", "m.pt"])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match=r"is truncated .* get it again") as caught:
        read_state(halve(save(tmp_path / name)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["m.safetensors", "m.pth"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(CheckpointError, match=r"\(0 bytes\) is truncated"):
        read_state(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no weights file .*gone\.pth"):
        read_state(tmp_path / "gone.pth")


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_pickle_with_a_payload_is_refused_and_never_run(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "pwned"
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"a": Payload(trace)}, protocol=protocol))
    with pytest.raises(CheckpointError):
        read_state(path)
    assert not trace.exists()
    pickle.loads(path.read_bytes())  # noqa: S301 - the payload is real: unguarded, it does run
    assert trace.exists()


@pytest.mark.parametrize("name", ["evil.pth", "evil.pt"])
def test_a_torch_file_with_a_payload_is_refused_by_name(tmp_path: Path, name: str) -> None:
    trace = tmp_path / "pwned"
    path = save(tmp_path / name, {**STATE, "x": Payload(trace)})
    with pytest.raises(CheckpointError, match=r"holds code \((posix|nt)\.system\).* refused"):
        read_state(path)
    assert not trace.exists()


def test_a_pickle_named_safetensors_is_refused(tmp_path: Path) -> None:
    trace = tmp_path / "pwned"
    path = tmp_path / "model.safetensors"
    path.write_bytes(pickle.dumps(Payload(trace)))
    with pytest.raises(CheckpointError, match="truncated or is no weights file"):
        read_state(path)
    assert not trace.exists()


@pytest.mark.parametrize("content", [[1, 2], {}, torch.ones(3), None, "weights"])
def test_anything_but_tensors_by_name_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(CheckpointError, match="expected tensors by name"):
        read_state(save(tmp_path / "m.pth", content))


@pytest.mark.parametrize("name", ["m.pth", "m.pt"])
def test_tensors_are_found_inside_what_training_left(tmp_path: Path, name: str) -> None:
    content = {"model": STATE, "epoch": 3, "optimizer": {"state": {0: torch.ones(1)}, "lr": [0.1]}}
    for saved in (content, STATE):  # without such an entry the file is taken as it is
        state = read_state(save(tmp_path / name, saved), inside="model")
        assert state.keys() == STATE.keys()
        assert all(torch.equal(state[key], value) for key, value in STATE.items())
    with pytest.raises(CheckpointError, match="something else at: model, epoch, optimizer"):
        read_state(save(tmp_path / name, content))


def test_a_payload_beside_the_tensors_is_refused_as_well(tmp_path: Path) -> None:
    trace = tmp_path / "pwned"
    path = save(tmp_path / "m.pth", {"model": STATE, "args": Payload(trace)})
    with pytest.raises(CheckpointError, match="holds code"):
        read_state(path, inside="model")
    assert not trace.exists()


def test_entries_that_are_no_tensors_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="something else at: epoch, 7"):
        read_state(save(tmp_path / "m.pth", {**STATE, "epoch": 3, 7: torch.ones(1)}))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), name=st.sampled_from(["m.pth", "m.safetensors"]))
def test_noise_is_refused_with_one_line(tmp_path: Path, data: bytes, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        read_state(path)
    assert "\n" not in str(caught.value)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), value=st.integers(0, 255))
def test_one_changed_byte_raises_nothing_else(tmp_path: Path, at: int, value: int) -> None:
    path = save(tmp_path / "m.pt")
    data = bytearray(path.read_bytes())
    data[at % len(data)] = value
    path.write_bytes(data)
    try:
        state = read_state(path)
    except CheckpointError:
        return
    assert all(isinstance(tensor, torch.Tensor) for tensor in state.values())


def test_each_key_that_does_not_fit_is_named() -> None:
    expected = {"a": (2, 3), "b": (4,), "c": (1,)}
    found = {"a": (2, 3), "b": (5,), "z": (9,), "memory.x": (1,)}
    with pytest.raises(CheckpointError) as caught:
        check_shapes(Path("m.pth"), expected, found, ignore=["memory"])
    assert str(caught.value) == (
        "m.pth is not a checkpoint of this network; missing: c; unexpected: z; "
        "of another shape: b (expected (4,), got (5,))"
    )
    check_shapes(Path("m.pth"), expected, {**expected, "memory.x": (1,)}, ignore=["memory"])


def test_shapes_of() -> None:
    assert shapes_of(STATE) == {"a.weight": (2, 3), "a.bias": (2,)}
