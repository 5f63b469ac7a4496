"""The table of what tests run, and when it fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from release import covered
from tests.support.paths import ROOT


def file(lines: int, missing_lines: list[int], missing_branches: list[list[int]]) -> Any:
    summary = {
        "num_statements": lines,
        "missing_lines": len(missing_lines),
        "num_branches": 10,
        "missing_branches": len(missing_branches),
    }
    return {
        "summary": summary,
        "missing_lines": missing_lines,
        "missing_branches": missing_branches,
    }


def whole() -> dict[str, Any]:
    files = {f"anygql/{name}/a.py": file(100, [], []) for name in covered.WHOLE}
    return {**files, "anygql/client.py": file(100, [1], [])}


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "report.json"
    monkeypatch.setattr(covered, "REPORT", path)
    return path


def test_every_folder_is_in_the_table(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report.write_text(json.dumps({"files": whole()}))
    covered.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["folder", ".", *sorted(covered.WHOLE), "total"]
    assert rows[1] == [".", "1", "100", "1", "10", "0", "99.0", "%"]
    assert rows[2][1:] == ["1", "100", "0", "10", "0", "100.0", "%"]


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (file(100_000, [7, 9], []), "anygql/http/formats/b.py: lines 7, 9"),
        (file(1, [], [[3, 5], [4, -1]]), "b.py: branches from 3 to 5, 4 to the end"),
    ],
)
def test_what_is_missed_is_told(
    report: Path, capsys: pytest.CaptureFixture[str], missing: Any, said: str
) -> None:
    report.write_text(json.dumps({"files": {**whole(), "anygql/http/formats/b.py": missing}}))
    with pytest.raises(SystemExit) as caught:
        covered.main()
    assert caught.value.code == 1
    output = capsys.readouterr()
    assert said in output.err
    assert "client.py" not in output.err
    (row,) = [line.split() for line in output.out.splitlines() if line.startswith("http")]
    assert row[-2] != "100.0"


def test_a_folder_without_files_is_missed(report: Path) -> None:
    files = whole()
    del files["anygql/net/a.py"]
    report.write_text(json.dumps({"files": files}))
    with pytest.raises(SystemExit):
        covered.main()


def test_the_folders_are_there() -> None:
    assert all((ROOT / "anygql" / name).is_dir() for name in covered.WHOLE)


def test_what_is_left_out_says_why() -> None:
    """A mark without a reason is a line that nobody has looked at."""
    marks = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sorted((ROOT / "anygql").rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if "# pragma: no" in line
        and "# pragma: no cover - " not in line
        and "# pragma: no branch - " not in line
    ]
    assert not marks
