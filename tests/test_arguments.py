"""Values checked against a class's own signature."""

import copy
from typing import Any, Literal

import pytest

import zoo.recipes.signatures as signatures
from zoo.errors import UsageError, format_problems
from zoo.recipes.signatures import (
    argument_names,
    build,
    defaults,
    describe,
    instantiate,
    read_arguments,
    read_options,
)
from zoo.recipes.type_faults import class_fault, required_arguments, type_fault


class Thing:
    """A thing.

    Args:
        size: How large it is.
        learning_rate: How fast it goes.
        color: Which of the two.
        sizes: Several.
        table: Names to numbers.
        strict: Whether it minds.
        label: What it is called.
    """

    def __init__(
        self,
        size: int,
        learning_rate: float = 0.1,
        color: Literal["red", "blue"] = "red",
        sizes: list[int] | None = None,
        table: dict[str, float] | None = None,
        strict: bool = False,
        label: str = "",
    ) -> None:
        self.given = dict(vars(), self=None)


class Larger(Thing):
    """A larger thing.

    Args:
        extra: One more.
    """

    def __init__(self, extra: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def play(self, files: int, *, episodes: int = 1, best_of: int | None = None) -> None:
        """Play.

        Args:
            files: Given by position.
            episodes: How many.
            best_of: Keep the best of so many.
        """


def test_names_go_through_kwargs() -> None:
    names = ["size", "learning_rate", "color", "sizes", "table", "strict", "label"]
    assert argument_names(Thing) == names
    assert argument_names(Larger) == ["extra", *names]
    assert argument_names(Thing, ["size", "label"]) == names[1:-1]


def test_all_wrong_keys_and_values_at_once() -> None:
    values = {"siz": 1, "lernin_rate": 2, "color": "green", "strict": "maybe", "qqq": 1, "size": 3}
    read, problems = read_arguments(Thing, "model", values)
    assert read == {"size": 3}
    assert len(problems) == 5
    text = "\n".join(problems)
    assert "'model.siz' is not an argument of Thing; did you mean 'model.size'?" in text
    assert (
        "'model.lernin_rate' is not an argument of Thing; did you mean 'model.learning_rate'?"
        in text
    )
    assert "'model.color' has to be one of 'red', 'blue', not 'green'" in text
    assert "'model.strict' has to be of type bool" in text
    assert "'model.qqq' is not an argument of Thing" in problems


@pytest.mark.parametrize("name", argument_names(Thing))
def test_no_prefix_of_a_name_is_taken(name: str) -> None:
    for length in range(1, len(name)):
        prefix = name[:length]
        if prefix in argument_names(Thing):
            continue
        read, problems = read_arguments(Thing, "model", {prefix: 1})
        assert read == {}
        assert len(problems) == 1


@pytest.mark.parametrize(
    ("key", "value", "meant"),
    [
        ("size", "3", 3),
        ("size", -3, -3),
        ("learning_rate", "1e-3", 0.001),
        ("learning_rate", 1, 1.0),
        ("color", "blue", "blue"),
        ("sizes", "[1, 2]", [1, 2]),
        ("sizes", [1, 2], [1, 2]),
        ("sizes", "null", None),
        ("table", "{a: 0.5}", {"a": 0.5}),
        ("table", {"a": 0.5}, {"a": 0.5}),
        ("strict", "true", True),
        ("strict", False, False),
        ("label", "some text", "some text"),
        ("label", "3", "3"),
        ("label", "true", "true"),
        ("label", "a: b", "a: b"),
        ("label", "[x", "[x"),
        ("label", "", ""),
    ],
)
def test_text_and_values_are_read_alike(key: str, value: object, meant: object) -> None:
    assert read_arguments(Thing, "model", {key: value}) == ({key: meant}, [])
    read, _ = read_arguments(Thing, "model", {key: value})
    assert read_arguments(Thing, "model", read) == ({key: meant}, [])  # and again


@pytest.mark.parametrize(
    ("key", "value", "wanted"),
    [
        ("size", "abc", "int"),
        ("size", 2.5, "int"),
        ("size", [1], "int"),
        ("learning_rate", "fast", "float"),
        ("sizes", "[1, x]", "int"),
        ("strict", 3, "bool"),
        ("label", {"a": 1}, "str"),
    ],
)
def test_wrong_types_name_key_type_and_value(key: str, value: object, wanted: str) -> None:
    read, problems = read_arguments(Thing, "data", {key: value})
    assert read == {}
    assert len(problems) == 1
    assert f"'data.{key}'" in problems[0]
    assert wanted in problems[0]
    assert repr(value) in problems[0] or str(value) in problems[0]
    assert "\n" not in problems[0]


def test_arguments_that_are_not_the_users_to_set() -> None:
    read, problems = read_arguments(Thing, "model", {"size": 1, "label": "x"}, skip=["label"])
    assert read == {"size": 1}
    assert "'model.label' is not an argument of Thing" in problems[0]


def test_defaults_leave_out_none_and_required() -> None:
    assert defaults(Thing) == {
        "learning_rate": 0.1,
        "color": "red",
        "strict": False,
        "label": "",
    }
    assert "label" not in defaults(Thing, ["label"])


def test_build_calls_the_constructor_with_converted_values() -> None:
    thing = build(Thing, {"size": "4", "sizes": [1]}, "a thing", {"label": "fixed"})
    assert thing.given["size"] == 4
    assert thing.given["sizes"] == [1]
    assert thing.given["label"] == "fixed"
    assert thing.given["learning_rate"] == 0.1
    assert build(Larger, {"size": 1, "extra": 2}, "a thing", {}).given["size"] == 1


def test_build_names_what_is_missing() -> None:
    with pytest.raises(UsageError, match=r"a thing needs a value for size.*--model.size VALUE"):
        build(Thing, {}, "a thing", {})


def test_build_reports_all_faults() -> None:
    with pytest.raises(UsageError, match="2 faults") as error:
        build(Thing, {"siz": 1, "strict": 7}, "a thing", {})
    assert "model.siz" in str(error.value)
    assert "model.strict" in str(error.value)


def test_instantiate_makes_classes_named_in_values() -> None:
    from lightning.pytorch import Trainer
    from lightning.pytorch.callbacks import EarlyStopping

    value = {"class_path": "EarlyStopping", "init_args": {"monitor": "val/loss"}}
    before = copy.deepcopy(value)
    made = instantiate(Trainer, {"callbacks": [value], "max_epochs": 3})
    assert made["max_epochs"] == 3
    assert isinstance(made["callbacks"][0], EarlyStopping)
    assert made["callbacks"][0].monitor == "val/loss"
    assert instantiate(Trainer, {}) == {}
    assert read_arguments(Trainer, "trainer", {"callbacks": [value]})[1] == []
    assert value == before
    assert type(value["init_args"]) is dict  # still what a recipe file can hold


def test_describe_shows_each_argument_with_its_doc() -> None:
    text = describe({"model": (Larger, ["label"])}, "usage line")
    assert "usage line" in text
    for name in argument_names(Larger, ["label"]):
        assert f"--model.{name} " in text
    assert "--model.label" not in text
    assert "How large it is." in text
    assert "One more." in text
    assert "CONFIG" not in text


def test_together() -> None:
    assert format_problems("here", ["a"]) == "here: a"
    assert format_problems("here", ["a", "b"]) == "here has 2 faults:\n  - a\n  - b"


def test_a_class_has_one_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Counted(signatures._Parser):
        def __init__(self, **options: Any) -> None:
            made.append(self)
            super().__init__(**options)

    class Fresh(Larger):
        """Not seen by any other test."""

    monkeypatch.setattr(signatures, "_Parser", Counted)
    for values in ({"size": "1", "extra": 2}, {"size": "x", "qqq": 1}, {"size": None}):
        read_arguments(Fresh, "model", values, ["label"])
    defaults(Fresh)
    argument_names(Fresh, ["size"])
    build(Fresh, {"size": 1}, "a thing", {"label": "x"})
    instantiate(Fresh, {"size": 1})
    assert len(made) == 1


def test_values_given_are_left_alone() -> None:
    values = {"size": 1, "sizes": ["1", "2"], "table": {"a": "1"}}
    before = copy.deepcopy(values)
    read, _ = read_arguments(Thing, "model", values)
    assert read == {"size": 1, "sizes": [1, 2], "table": {"a": 1.0}}
    assert build(Thing, values, "a thing", {}).given["sizes"] == [1, 2]
    assert values == before


def test_none_leaves_an_argument_to_the_facts() -> None:
    values = {"size": None, "strict": None, "sizes": None}
    assert read_arguments(Thing, "model", values) == (values, [])
    with pytest.raises(UsageError, match="needs a value for size"):
        build(Thing, values, "a thing", {})


def test_options_of_a_method() -> None:
    assert read_options(Larger, "play", {"best-of": "3"}) == {"best_of": 3}
    assert read_options(Larger, "play", {}) == {}
    with pytest.raises(UsageError) as error:
        read_options(Larger, "play", {"files": 1, "episode": 2, "episodes": "x"})
    assert str(error.value) == (
        "there is no option --files; there are: --episodes, --best-of; "
        "there is no option --episode; did you mean --episodes?; "
        "'--episodes' has to be of type int, not 'x'"
    )


MEND = "jsonargparse words this error differently now: mend zoo/recipes/type_faults.py"


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("size", "x", "has to be of type int, not 'x'"),
        ("sizes", "x", "has to be of type list[int], null, not 'x'"),
        ("color", "x", "has to be one of 'red', 'blue', not 'x'"),
        ("mode", "x", "has to be one of 'a.b', 'c', null, not 'x'"),
    ],
)
def test_the_expected_type_is_read_out_of_the_error(key: str, value: str, sentence: str) -> None:
    class Moded(Thing):
        def __init__(self, mode: Literal["a.b", "c"] | None = None, **kwargs: Any) -> None:
            super().__init__(**kwargs)

    _, problems = read_arguments(Moded, "model", {key: value})
    assert problems == [f"'model.{key}' {sentence}"], MEND


def test_what_is_required_is_read_out_of_the_error() -> None:
    with pytest.raises(UsageError) as error:
        build(Larger, {}, "a thing", {})
    assert str(error.value).startswith("a thing needs a value for size, which"), MEND


@pytest.mark.parametrize(
    ("callback", "reason"),
    [
        ({"class_path": "EarlyStopping"}, "the following arguments are required: monitor"),
        (
            {"class_path": "EarlyStopping", "init_args": {"monitr": "x"}},
            "Option 'monitr' is not accepted",
        ),
    ],
)
def test_the_fault_of_a_class_path_is_read_out_of_the_error(
    callback: dict[str, object], reason: str
) -> None:
    from lightning.pytorch import Trainer

    path = "lightning.pytorch.callbacks.EarlyStopping"
    with pytest.raises(UsageError) as error:
        instantiate(Trainer, {"callbacks": [callback]})
    expected = f"the settings of Trainer do not work: {path}: {reason}"
    assert str(error.value) == expected, MEND


def test_an_error_in_other_words_is_shown_whole() -> None:
    error = ValueError("some\n  other words")
    assert type_fault("model.a", error, 3) == "'model.a' cannot be 3: some other words"
    assert class_fault(error) == ""
    assert required_arguments(error) == ()
