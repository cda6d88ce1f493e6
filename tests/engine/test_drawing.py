"""Pictures of graphs: everything is there, nothing lies over anything else, and no name gets out of its text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
from torch import nn

import ivyhub
from ivyhub.cli import run
from ivyhub.engine.drawing import draw

SVG = "{http://www.w3.org/2000/svg}"


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.other, self.norm = nn.Linear(4, 4), nn.Linear(4, 4), nn.LayerNorm(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + torch.relu(self.one(x)) * torch.tanh(self.other(x)))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        first = self.blocks[0](x)
        return {"sum": self.blocks[1](first + y), "first": first}


@pytest.fixture
def graph() -> ivyhub.Graph:
    sizes = {0: "batch"}
    return ivyhub.trace(Net(), torch.ones(2, 4), torch.ones(2, 4), dynamic={"x": sizes, "y": sizes})


def boxes(group: ElementTree.Element) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of the boxes that lie directly in one."""
    found = []
    for inner in group.findall(f"{SVG}g"):
        x, y = map(float, re.findall(r"[-\d.]+", inner.attrib["transform"]))
        box = inner.find(f"{SVG}rect")
        assert box is not None
        found.append((x, y, x + float(box.attrib["width"]), y + float(box.attrib["height"])))
    return found


def texts(root: ElementTree.Element) -> Iterator[str]:
    return (text.text or "" for text in root.iter(f"{SVG}text"))


@pytest.mark.parametrize("depth", [0, 1, 9])
def test_boxes_lie_beside_and_in_one_another(graph: ivyhub.Graph, depth: int) -> None:
    root = ElementTree.fromstring(draw(graph, depth=depth))
    for group in root.iter(f"{SVG}g"):
        frame = group.find(f"{SVG}rect")
        assert frame is not None
        inner = boxes(group)
        for index, (left, top, right, bottom) in enumerate(inner):
            assert 0 < left < right < float(frame.attrib["width"])
            assert 0 < top < bottom < float(frame.attrib["height"])
            others = inner[index + 1 :]
            assert all(right < x or other < left or bottom < y or end < top for x, y, other, end in others)
        for path in group.findall(f"{SVG}path"):
            heights = [float(y) for y in re.findall(r",([-\d.]+)", path.attrib["d"])]
            assert heights[-1] > heights[0]  # arrows point downwards


def test_depth_opens_modules(graph: ivyhub.Graph) -> None:
    closed, opened = ([*texts(ElementTree.fromstring(draw(graph, depth=depth)))] for depth in (0, 1))
    assert {"x", "y", "result", "blocks.0: Block", "blocks.1: Block", "add"} <= {*closed}
    assert "blocks.0.one: Linear" not in closed
    assert {f"blocks.{number}.{name}" for number in (0, 1) for name in ("one: Linear", "norm: LayerNorm")} <= {*opened}
    assert opened.count("relu") == 2
    assert "float32[batch, 4]" in opened


def test_names_stay_text(graph: ivyhub.Graph) -> None:
    graph.modules["blocks.0"].cls = '<script>alert("&")</script>'
    root = ElementTree.fromstring(draw(graph))
    assert 'blocks.0: <script>alert("&")</script>' in texts(root)
    assert not [*root.iter(f"{SVG}script")]


def test_through_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ivyhub.push(Net(), "net", args=(torch.ones(2, 4), torch.ones(2, 4)), verify=False)
    assert run(["show", "net", "--svg", str(tmp_path / "net.svg"), "--depth", "1", "--quiet"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'net.svg'}\n"
    assert "blocks.1.other: Linear" in texts(ElementTree.parse(tmp_path / "net.svg").getroot())
    assert run(["show", "net", "--svg", str(tmp_path)]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["net.svg"]
