"""Files and variables, merged, each value with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemoneye.config import sources
from daemoneye.config.problems import Place
from daemoneye.config.sources import config_files, instance_name, read_sources
from daemoneye.config.tree import RawText
from daemoneye.errors import ConfigError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_named_file_stands_for_all_files(tmp_path: Path) -> None:
    named = write(tmp_path / "mine.toml", "")
    assert config_files(named, {"HOME": str(tmp_path)}) == (named,)


def test_a_named_file_that_is_missing_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no configuration file .*nowhere\.toml"):
        config_files(tmp_path / "nowhere.toml", {})


def test_files_come_from_here_the_user_and_the_system_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = write(tmp_path / "etc/daemoneye.toml", "")
    user = write(tmp_path / "home/.config/daemoneye/daemoneye.toml", "")
    write(tmp_path / "here/daemoneye.toml", "")
    monkeypatch.setattr(sources, "SYSTEM_FILE", system)
    monkeypatch.chdir(tmp_path / "here")
    found = config_files(None, {"HOME": str(tmp_path / "home")})
    assert found == (Path("daemoneye.toml"), user, system)
    elsewhere = write(tmp_path / "xdg/daemoneye/daemoneye.toml", "")
    assert config_files(None, {"XDG_CONFIG_HOME": str(tmp_path / "xdg")})[1] == elsewhere


def test_a_stronger_file_replaces_values_and_keeps_the_rest_of_a_table(tmp_path: Path) -> None:
    strong = write(tmp_path / "strong.toml", "[bus]\nbacklog = 1\n[[bus.access]]\nwho = 'a'\n")
    weak = write(
        tmp_path / "weak.toml",
        "[bus]\nbacklog = 2\nroutes = 3\n[[bus.access]]\nwho = 'b'\n[[bus.access]]\nwho = 'c'\n",
    )
    merged = read_sources((strong, weak), {})
    assert merged.tree == {"bus": {"backlog": 1, "routes": 3, "access": [{"who": "a"}]}}
    assert merged.place_of(("bus", "backlog")) == Place(str(strong), 2)
    assert merged.place_of(("bus", "routes")) == Place(str(weak), 3)
    assert merged.place_of(("bus", "access", 0, "who")) == Place(str(strong), 4)
    assert ("bus", "access", 1, "who") not in merged.places


def test_the_environment_is_stronger_than_files_and_names_its_variable(tmp_path: Path) -> None:
    file = write(tmp_path / "a.toml", "[collectors.my-probe]\nenabled = true\n")
    environ = {
        "DAEMONEYE_COLLECTORS__MY_PROBE__ENABLED": "false",
        "DAEMONEYE_INSTANCE": "blue",
        "DAEMONEYE_RUN_DIR": "/somewhere",
        "HOME": "/",
    }
    merged = read_sources((file,), environ)
    assert merged.tree == {"collectors": {"my-probe": {"enabled": "false"}}, "instance": "blue"}
    path = ("collectors", "my-probe", "enabled")
    assert merged.place_of(path) == Place("DAEMONEYE_COLLECTORS__MY_PROBE__ENABLED")
    assert isinstance(merged.tree["instance"], RawText)


def test_what_is_not_toml_is_told_with_its_line_and_leaves_the_other_files(tmp_path: Path) -> None:
    broken = write(tmp_path / "broken.toml", "[bus]\nbacklog = = 1\n")
    good = write(tmp_path / "good.toml", "instance = 'x'\n")
    merged = read_sources((broken, good), {})
    (problem,) = merged.problems
    assert problem.place == Place(str(broken), 2)
    assert "is not TOML" in problem.text
    assert merged.tree == {"instance": "x"}


def test_a_table_written_twice_is_told_with_both_lines(tmp_path: Path) -> None:
    file = write(tmp_path / "a.toml", "[workers.a]\n[workers.b]\n[workers.a]\n")
    (problem,) = read_sources((file,), {}).problems
    assert problem.place.line == 3
    assert problem.key == "workers.a"
    assert "first at line 1" in problem.text


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"a = '\xff'\n", "is not UTF-8"), (b"#" * (1 << 20) + b"\n", "is too large")],
)
def test_a_file_that_cannot_be_text_of_ours_is_told(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    file = tmp_path / "a.toml"
    file.write_bytes(content)
    (problem,) = read_sources((file,), {}).problems
    assert problem.text == complaint


def test_a_directory_in_the_place_of_a_file_is_told(tmp_path: Path) -> None:
    (problem,) = read_sources((tmp_path,), {}).problems
    assert "cannot be read" in problem.text


def test_the_instance_is_that_of_the_strongest_source(tmp_path: Path) -> None:
    file = write(tmp_path / "a.toml", "instance = 'green'\n")
    assert instance_name(file, {}) == "green"
    assert instance_name(file, {"DAEMONEYE_INSTANCE": "blue"}) == "blue"
    assert instance_name(write(tmp_path / "b.toml", "instance = 5\n"), {}) == "default"
