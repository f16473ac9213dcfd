from __future__ import annotations

import pytest

from voxcli.recipe.where import dotted, lines

TEXT = '''\
# a comment with a = 1
name = "x"   # [not] a header

[[data]]
type = "a"
splits = { train = ["x"], test = ["y"] }

[[data]]
type = "b"
[data.options]
deep.key = 1
["quoted.table"]
"a.b" = 2

[text]
remove = """
[train]
max_steps = 7
"""
replace = { "&" = " and " }
[train]
steps = [
  1,
  # 2 = 3
  [4, 5],
]
last = 'end'
'''


@pytest.mark.parametrize(
    ("key", "line"),
    [
        (("name",), 2),
        (("data",), 4),
        (("data", 0), 4),
        (("data", 0, "type"), 5),
        (("data", 0, "splits", "test", 0), 6),
        (("data", 1), 8),
        (("data", 1, "type"), 9),
        (("data", 1, "options"), 10),
        (("data", 1, "options", "deep", "key"), 11),
        (("quoted.table", "a.b"), 13),
        (("text", "remove"), 16),
        (("text", "replace", "&"), 20),
        (("train",), 21),
        (("train", "steps"), 22),
        (("train", "steps", 1, 1), 22),
        (("train", "last"), 27),
    ],
)
def test_every_key_has_its_line(key, line):
    assert lines(TEXT)[key] == line


def test_text_inside_a_string_is_no_key():
    assert ("train", "max_steps") not in lines(TEXT)


def test_an_array_of_tables_below_an_array_of_tables():
    found = lines("[[a]]\n[[a.b]]\nx = 1\n[[a.b]]\nx = 2\n[[a]]\n[[a.b]]\nx = 3\n")
    assert [found["a", 0, "b", 0, "x"], found["a", 0, "b", 1, "x"], found["a", 1, "b", 0, "x"]] == [3, 5, 8]


def test_thousands_of_lines_take_no_time():
    text = "\n".join(f"[[data]]\ntype = 'a'\nroot = '{number}'" for number in range(2000))
    assert lines(text)["data", 1999, "root"] == 6000


def test_dotted_quotes_what_toml_would():
    assert dotted(("augment", 0, "p")) == "augment.0.p"
    assert dotted(("text", "replace", "a.b")) == 'text.replace."a.b"'
