"""The page: one file, no network, the JSON's numbers, and text that stays text."""

import copy
import json
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import perfmodel
from perfmodel.report.columns import COLUMNS, summary, title
from perfmodel.report.page import notes, roofline_page

EVIL = "<script>alert(1)</script>&\"'"


class Page(HTMLParser):
    """The elements of a page, and the text outside scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.cells: list[list[str]] = []
        self.text = ""
        self._inside = ""
        self._cell = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else ""
        if tag == "script":
            self.scripts.append("")
        elif tag == "tr":
            self.cells.append([])
        elif tag in ("td", "th"):
            self.cells[-1].append("")
            self._cell = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""
        self._cell = self._cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif not self._inside:
            self.text += data
            if self._cell:
                self.cells[-1][-1] += data

    def element(self, name: str) -> dict[str, str | None]:
        (found,) = [attrs for _, attrs in self.tags if attrs.get("id") == name]
        return found

    def json(self, name: str) -> Any:
        ids = [attrs.get("id") for tag, attrs in self.tags if tag == "script"]
        return json.loads(self.scripts[ids.index(name)])


@cache
def _analysed(workload: str, hardware: str) -> dict[str, Any]:
    return perfmodel.analyze(workload, hardware).data


def analysed(workload: str = "mnist-mlp", hardware: str = "a100-80gb-sxm") -> dict[str, Any]:
    return copy.deepcopy(_analysed(workload, hardware))


def test_the_page_is_one_file_that_asks_for_nothing() -> None:
    page = Page(roofline_page([analysed()]))
    for tag, attrs in page.tags:
        for name in ("src", "href", "data", "action", "srcset"):
            assert (attrs.get(name) or "data:").startswith("data:"), (tag, attrs)
    (policy,) = [a for t, a in page.tags if t == "meta" and "http-equiv" in a]
    assert str(policy["content"]).startswith("default-src 'none'")
    assert sum(len(s) > 1_000_000 for s in page.scripts) == 1


def test_the_tables_and_the_embedded_json_are_the_analyses() -> None:
    results = [analysed("bert-base"), analysed("bert-base", "xeon-platinum-8280")]
    page = Page(roofline_page(results))
    assert page.json("perfmodel-data") == results
    rows = iter(page.cells)
    for data in results:
        assert next(rows) == [c.heading for c in COLUMNS.values()]
        for row in data["operators"]:
            expected = [c.text(row, data["totals"]["time_s"]) for c in COLUMNS.values()]
            assert [cell.lstrip("●■◆ ") for cell in next(rows)] == expected
        assert title(data) in page.text
        for label, text in summary(data):
            assert label in page.text
            assert text in page.text
    assert next(rows, None) is None


def test_names_from_the_data_are_shown_as_text() -> None:
    data = analysed()
    data["workload"]["name"] = data["hardware"]["title"] = data["hardware"]["name"] = EVIL
    data["workload"]["source"] = data["settings"]["dtype"] = EVIL
    for row in data["operators"]:
        for key in ("name", "op", "bound", "limiter", "algorithm"):
            row[key] = EVIL
    clean = Page(roofline_page([analysed()]))
    for results in ([data], [data, analysed("mnist-mlp", "tpu-v4")]):
        page = Page(roofline_page(results))
        assert len(page.scripts) == len(clean.scripts)
        assert page.json("perfmodel-data") == results
        assert EVIL in page.text
        assert EVIL in str(page.element("perfmodel-roofline")["aria-label"])
        figure = json.dumps(page.json("perfmodel-figure"))
        assert "<script" not in figure
        assert "&lt;script&gt;" in figure


def test_the_figure_has_a_text_alternative_and_the_table_a_caption() -> None:
    data = analysed("lstm-ptb-large")
    page = Page(roofline_page([data]))
    figure = page.element("perfmodel-roofline")
    assert figure["role"] == "img"
    assert "4 operators" in str(figure["aria-label"])
    assert "vector fp32 9.56" in str(figure["aria-label"])
    tags = [tag for tag, _ in page.tags]
    assert tags.count("caption") == tags.count("table") == 1
    assert "h1" in tags


def test_numbers_are_aligned_right() -> None:
    text = roofline_page([analysed()])
    right = sum(c.right for c in COLUMNS.values())
    assert text.count('class="number"') == right * (1 + len(analysed()["operators"]))


def test_the_footnote_says_what_made_the_page_of_what() -> None:
    page = Page(roofline_page([analysed()]))
    footer = page.text[page.text.index("Made by") :]
    for part in ("perfmodel ", "perfmodel/analysis@1", "dtype fp32", "launch graph", "batch 1"):
        assert part in footer


def test_a_defect_is_listed_below_the_figure() -> None:
    data = analysed("resnet50")
    assert [heading for heading, _ in notes([data])] == [
        "Without a place, for want of bytes or of time"
    ]
    data["operators"][0]["time_s"] /= 10
    page = Page(roofline_page([data]))
    assert notes([data])[0][0].startswith("Above every roof")
    assert notes([data])[0][1] == [n for n in notes([data])[0][1] if n.startswith("conv1")]
    assert notes([data])[0][1][0] in page.text


def test_what_lies_outside_the_axes_is_named_and_not_moved() -> None:
    data = analysed()
    data["operators"][0]["time_s"] = 1e6
    (heading, names), *rest = notes([data])
    assert heading.startswith("Outside the axes")
    assert not rest
    assert names == ["hidden at 1.26 FLOP/s, 0.498 FLOP/B"]
    drawn = Page(roofline_page([data])).json("perfmodel-figure")["data"]
    rate = data["operators"][0]["flops"] / 1e6
    assert any(rate in trace["y"] for trace in drawn if "bound" in trace["name"])


def test_every_operator_has_a_point_or_a_note() -> None:
    data = analysed("resnet50")
    named = {name for _, names in notes([data]) for name in names}
    assert named == {"flatten"}


@pytest.mark.parametrize("workload", ["matmul:m=64,n=64,k=64", "flatten", "none"])
def test_one_operator_or_none_still_makes_a_page(workload: str) -> None:
    data = analysed("matmul:m=64,n=64,k=64")
    if workload == "none":
        data["operators"] = []
    elif workload == "flatten":
        data["operators"][0] |= {"flops": 0, "macs": 0, "bytes_read": 0, "bytes_written": 0}
        data["operators"][0] |= {"time_s": 0.0, "intensity": None}
        data["totals"]["time_s"] = 0.0
    page = Page(roofline_page([data]))
    assert page.json("perfmodel-data") == [data]


def test_importing_the_page_leaves_plotly_alone(tmp_path: Path) -> None:
    code = "import sys, perfmodel.report.page; print('plotly' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert run.stdout.strip() == "False"
