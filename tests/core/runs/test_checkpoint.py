"""Checkpoints are data, whole or refused, and the one before the last is kept."""

import hashlib
import io
import os
import pickle

import pytest
import torch

from corenas import ResumeError
from corenas.runs._checkpoint import Checkpoint, candidates, load, remove, save

pytestmark = pytest.mark.abuse("checkpoint damaged or hostile")


def checkpoint(offset=10):
    state = {"weights": torch.arange(5.0), "n": 3, "x": [None, "a"]}
    return Checkpoint("search", offset, 1.5, state)


def test_a_checkpoint_comes_back_equal(tmp_path):
    save(tmp_path / "c.pt", checkpoint())
    loaded = load(tmp_path / "c.pt")
    assert (loaded.stage, loaded.offset, loaded.seconds) == ("search", 10, 1.5)
    assert torch.equal(loaded.state["weights"], torch.arange(5.0))
    assert loaded.state["x"] == [None, "a"]


def test_the_one_before_the_last_is_kept(tmp_path):
    path = tmp_path / "c.pt"
    save(path, checkpoint(1))
    save(path, checkpoint(2))
    save(path, checkpoint(3))
    assert [load(file).offset for file in candidates(path)] == [3, 2]
    remove(path)
    assert list(candidates(path)) == []
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty", "foreign"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / "c.pt"
    save(path, checkpoint())
    content = path.read_bytes()
    path.write_bytes(
        {
            "truncated": content[: len(content) // 2],
            "changed": content[:200] + bytes([content[200] ^ 1]) + content[201:],
            "empty": b"",
            "foreign": b"PK\x03\x04 something else",
        }[damage]
    )
    with pytest.raises(ResumeError, match=r"c\.pt"):
        load(path)


class Exploit:
    def __reduce__(self):
        return (os.mkdir, (os.environ["EXPLOIT_TARGET"],))


def test_a_file_with_code_is_refused_and_the_code_not_run(tmp_path, monkeypatch):
    target = tmp_path / "executed"
    monkeypatch.setenv("EXPLOIT_TARGET", str(target))
    buffer = io.BytesIO()
    torch.save({"stage": "s", "offset": 0, "seconds": 0.0, "state": Exploit()}, buffer)
    for payload in (buffer.getvalue(), pickle.dumps(Exploit())):
        digest = hashlib.blake2b(payload, digest_size=16).hexdigest().encode()
        path = tmp_path / "c.pt"
        path.write_bytes(b"corenas checkpoint 1 " + digest + b"\n" + payload)
        with pytest.raises(ResumeError, match="refused"):
            load(path)
    assert not target.exists()
