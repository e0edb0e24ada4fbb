"""Settings files, good and bad: every mistake is told, with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from aga.config import OperatorWeights
from aga.config.load import load_settings, load_site, settings_from_dict
from aga.config.schema import Settings
from aga.errors import InputError, Problem, SettingsError


def write(folder: Path, text: str, name: str = "search.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path, **kwargs: object) -> dict[str, Problem]:
    with pytest.raises(SettingsError) as caught:
        load_settings(path, **kwargs)  # type: ignore[arg-type] # passed through
    assert caught.value.exit_code == 2
    return {p.key: p for p in caught.value.problems}


def test_a_composition_is_enough(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "search: {composition: Si8}\n"))
    assert settings.search.atom_counts() == {"Si": 8}
    assert settings == Settings.model_validate({"search": {"composition": "Si8"}})


@pytest.mark.parametrize(
    ("composition", "words"),
    [
        ("Xq2", "'Xq' in 'Xq2' is not an element; did you mean Xe?"),
        ("Ti O2", "is not a composition"),
        ("8", "is not a composition"),
        ("Si0", "0 atoms of Si"),
        ("[Si]", "is not a composition"),
        ("tio2", "is not a composition"),
    ],
)
def test_a_composition_that_is_none(tmp_path: Path, composition: str, words: str) -> None:
    found = problems(write(tmp_path, f"search:\n  seed: 1\n  composition: {composition}\n"))
    problem = found["search.composition"]
    assert words in problem.message
    assert (problem.line, problem.column) == (3, 3)


@pytest.mark.parametrize("text", ["", "# nothing\n", "search:\n", "potential:\n  members: 4\n"])
def test_a_missing_composition(tmp_path: Path, text: str) -> None:
    found = problems(write(tmp_path, text))
    assert "required" in next(iter(found.values())).message
    assert set(found) <= {"search", "search.composition"}


def test_all_mistakes_at_once_with_their_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "search:\n"
        "  composition: TiO2\n"
        "  sed: 3\n"
        "  population_size: 2.5\n"
        "  volume_range: [2.0, 1.0]\n"
        "  min_distances: {Ti-O: -1, Ti-X: 1}\n"
        "potential:\n"
        "  cutoff: -6.5\n"
        "  activation: relu\n"
        "  hidden: [20, many]\n"
        "training:\n"
        "  data: [absent.xyz]\n"
        "machines:\n"
        "  workers: 2\n",
    )
    found = problems(path)
    assert {key: p.line for key, p in found.items()} == {
        "search.sed": 3,
        "search.population_size": 4,
        "search.volume_range": 5,
        "search.min_distances.Ti-O": 6,
        "search.min_distances.Ti-X": 6,
        "potential.cutoff": 8,
        "potential.activation": 9,
        "potential.hidden[1]": 10,
        "training.data[0]": 12,
        "machines": 13,
    }
    assert found["search.sed"].hint == "did you mean seed?"
    assert found["machines"].hint == "did you mean machine?"
    assert found["potential.cutoff"].message == "must be greater than 0, got -6.5"
    assert found["search.population_size"].message == "must be a whole number, got 2.5"
    assert (
        "must be one of tanh, softplus, silu; got 'relu'" in found["potential.activation"].message
    )
    assert str(tmp_path / "absent.xyz") in found["training.data[0]"].message
    assert all(p.file == str(path) for p in found.values())


def test_errors_are_listed_in_the_order_of_their_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "machine: {workers: 0}\nsearch: {composition: Si8, pressure: .nan}\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert [p.line for p in caught.value.problems] == [1, 2]
    text = str(caught.value)
    assert text.startswith("2 problems in the settings:")
    assert f"{path}:1: machine.workers: must be at least 1, got 0" in text


def test_an_unknown_key_may_belong_to_another_section(tmp_path: Path) -> None:
    found = problems(write(tmp_path, "search: {composition: Si8, cutoff: 5}\n"))
    assert found["search.cutoff"].hint == "did you mean potential.cutoff?"
    found = problems(write(tmp_path, "search: {composition: Si8}\npotential: {zzz: 5}\n"))
    assert "known here: members, descriptor" in (found["potential.zzz"].hint or "")


def test_duplicate_keys(tmp_path: Path) -> None:
    found = problems(
        write(tmp_path, "search:\n  composition: Si8\n  seed: 1\n  seed: 2\n  composition: C\n")
    )
    assert found["search.seed"].line == 4
    assert found["search.composition"].line == 5
    assert "first is in line 3" in found["search.seed"].message


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("search:\n\tcomposition: Si8\n", 2, "indent with spaces"),
        ("search: {composition: Si8\n", 2, "bracket"),
        ("search:\n  composition: 'Si8\n", 3, "quote"),
        ("search: a: b\n", 1, "indentation"),
        ("search: {composition: Si8}\n---\nsearch: {}\n", 2, "one file is one search"),
        ("search: {composition: *none}\n", 1, "undefined alias"),
    ],
)
def test_text_that_is_no_yaml(tmp_path: Path, text: str, line: int, words: str) -> None:
    problem = problems(write(tmp_path, text))[""]
    assert problem.line == line
    assert words in str(problem)


def test_no_code_and_no_endless_aliases(tmp_path: Path) -> None:
    path = write(tmp_path, "search:\n  composition: !!python/object/apply:os.system ['true']\n")
    assert "not allowed" in problems(path)["search.composition"].message
    path = write(tmp_path, "search: &a\n  composition: *a\n")
    assert "aliases" in problems(path)["search.composition"].message
    bomb = "a0: &a0 [1]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
    )
    assert any("aliases" in p.message for p in problems(write(tmp_path, bomb)).values())


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("search: [Si8]", "a section"),
        ("search: {composition: Si8, operators: 3}", "a section"),
        ("search: {composition: Si8, seed: true}", "must not be true or false"),
        ("search: {composition: Si8, seed: -1}", "at least 0"),
        ("search: {composition: Si8, name: a b}", "letters, digits"),
        ("search: {composition: Si8, volume_range: [1]}", "no value number 2"),
        ("search: {composition: Si8, volume_range: [1, 2, 3]}", "at most 2 values"),
        (
            "search:\n  composition: Si8\n  operators: {"
            + ", ".join(f"{name}: 0" for name in OperatorWeights.model_fields)
            + "}",
            "at least one operator",
        ),
        ("search: {composition: Si8}\npotential: {preset: tio}", "one of tio2, cuauoh"),
        ("search: {composition: Si8}\ntraining: {data: a.xyz}", "a list"),
        ("search: {composition: Si8}\nmachine: {pseudo_dir: 3}", "a path"),
        ("[search]", "must be sections"),
    ],
)  # fmt: skip
def test_values_of_the_wrong_kind(tmp_path: Path, section: str, words: str) -> None:
    found = problems(write(tmp_path, section + "\n"))
    assert any(words in p.message for p in found.values()), [str(p) for p in found.values()]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file") as caught:
        load_settings(tmp_path / "none.yaml")
    assert caught.value.remedy is not None
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="can't read"):
        load_settings(tmp_path / "binary.yaml")


@pytest.mark.parametrize("form", ["machine:\n  workers: 7\n  lease: 9\n", "workers: 7\nlease: 9\n"])
def test_the_site_file_lies_below_the_own_machine_settings(tmp_path: Path, form: str) -> None:
    site = write(tmp_path, form, "site.yaml")
    path = write(tmp_path, "search: {composition: Si8}\nmachine: {workers: 3}\n")
    machine = load_settings(path, site).machine
    assert (machine.workers, machine.lease) == (3, 9.0)
    assert load_site(site) == {"workers": 7, "lease": 9.0}


def test_mistakes_in_the_site_file_name_it(tmp_path: Path) -> None:
    path = write(tmp_path, "search: {composition: Si8, sede: 1}\n")
    site = write(tmp_path, "# here\nworkers: -1\nqueue: big\n", "site.yaml")
    found = problems(path, site=site)
    assert found["machine.workers"].file == str(site)
    assert found["machine.workers"].line == 2
    assert found["machine.queue"].line == 3
    assert found["search.sede"].file == str(path)
    site = write(tmp_path, "machine: {workers: 2}\nsearch: {seed: 1}\n", "site.yaml")
    assert "machine settings alone" in problems(path, site=site)["search"].message


def test_paths_start_at_the_folder_of_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    write(tmp_path / "a", "", "frames.xyz")
    write(tmp_path / "b", "", "lpad.yaml")
    path = write(
        tmp_path / "a",
        "search: {composition: Si8}\ntraining: {data: [frames.xyz]}\nmachine: {pseudo_dir: ~/p}\n",
    )
    site = write(tmp_path / "b", "launchpad: lpad.yaml\nrun_dir: runs\n", "site.yaml")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    settings = load_settings("a/search.yaml", "b/site.yaml")
    assert settings == load_settings(path, site)
    assert settings.training.data == (tmp_path / "a" / "frames.xyz",)
    assert settings.machine.launchpad == tmp_path / "b" / "lpad.yaml"
    assert settings.machine.pseudo_dir == tmp_path / "home" / "p"
    assert settings.machine.run_dir == Path("runs")


def test_further_checks_join_the_other_problems(tmp_path: Path) -> None:
    def lacks(settings: Settings) -> list[Problem]:
        element = next(iter(settings.search.atom_counts()))
        return [
            Problem(key="oracle.options.pseudo.Si", message=f"no file for {element}"),
            Problem(key="potential.cutoff", message="told by the schema already"),
        ]

    path = write(
        tmp_path,
        "search:\n  composition: Si8\noracle:\n  options:\n    pseudo: {}\n"
        "potential:\n  cutoff: -1\n",
    )
    found = problems(path, checks=[lacks])
    assert found["oracle.options.pseudo.Si"].line == 5
    assert found["potential.cutoff"].message == "must be greater than 0, got -1"
    assert len(found) == 2


def test_checks_see_no_stand_in_composition(tmp_path: Path) -> None:
    path = write(tmp_path, "search:\n  composition: Qq\n")
    assert set(problems(path, checks=[lambda _: [Problem(key="x", message="asked")]])) == {
        "search.composition"
    }


def test_keys_with_nothing_take_their_defaults(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "search:\n  composition: Si8\n  seed:\n  operators:\npotential:\n"
        "oracle:\n  options: {x: , y: {z: }}\nmachine:\n",
    )
    settings = load_settings(path)
    assert settings.search.seed == 0
    assert settings.oracle.options == {"y": {"z": None}}, "what is below belongs to the engine"


def test_stored_settings_come_back(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, "search: {composition: TiO2, seed: 4}\n"))
    assert settings_from_dict(settings.model_dump(mode="json")) == settings
    with pytest.raises(SettingsError, match="unknown key"):
        settings_from_dict({"search": {"composition": "Si", "from_the_future": 1}})


def test_too_few_initial_structures_are_told_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "few.yaml"
    file.write_text("search:\n  composition: Si8\n  initial_structures: 1\n")
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    (problem,) = caught.value.problems
    assert problem.key == "search.initial_structures"
    assert problem.line == 3
    assert "training.data" in problem.message
