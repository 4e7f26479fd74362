"""A camera is written into a settings file, and nothing else of it changes."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from operate.cameras.core.insertion import InsertionError, lines, with_camera

CAMERA = {"id": "gate-9", "url_file": "gate-9.url"}
EXAMPLE = Path(__file__).parents[3] / "docs/site.example.yaml"
FILE = """\
# Who made this file
sites:
  - id: one   # a comment
    cameras:
      - id: a
        url: "rtsp://10.0.0.5/a"   # another
      # the last one
      - {id: b, url: "rtsp://10.0.0.6/b"}

    # rules come next
    rules:
      - {id: low, fire_below: 0.7, clear_above: 0.8}
  - id: two
    name: Second
  - {id: three}
  - id: four
    cameras: [{id: c, url: x}]
  - id: five
    cameras:
    - id: d
      url: |
        rtsp://10.0.0.7/d
# the end"""


def added(before, after):
    """Return the lines that are new; the others must be there as before."""
    rest, new = before.splitlines(), []
    for line in after.splitlines():
        if rest and line == rest[0]:
            rest.pop(0)
        else:
            new.append(line)
    assert rest == []
    return new


def test_below_the_others_of_its_site():
    """With the others' indent, and every comment where it was."""
    made = with_camera(FILE, "one", CAMERA)
    assert added(FILE, made) == ["      - id: gate-9", '        url_file: "gate-9.url"']
    assert made.index("{id: b") < made.index("gate-9") < made.index("# rules come next")


def test_into_a_site_without_cameras():
    """With the key, and as deep as the site's own keys."""
    made = with_camera(FILE, "two", CAMERA)
    assert added(FILE, made) == ["    cameras:", "      - id: gate-9", '        url_file: "gate-9.url"']


def test_after_a_text_in_lines():
    """A list as deep as its key, whose last value is a block, at the end of a file without a last line break."""
    made = with_camera(FILE, "five", CAMERA)
    assert yaml.safe_load(made)["sites"][4]["cameras"][-1] == CAMERA
    alone = "sites:\n- id: a\n  cameras:\n  - id: b\n    url: x"
    assert with_camera(alone, "a", CAMERA) == f'{alone}\n  - id: gate-9\n    url_file: "gate-9.url"\n'


def test_the_example():
    """The file that people begin with: a camera of the market, between the others and the rules."""
    text = EXAMPLE.read_text("utf-8")
    made = with_camera(text, "forville", CAMERA)
    assert added(text, made) == ["      - id: gate-9", '        url_file: "gate-9.url"']


@pytest.mark.parametrize(
    ("text", "site", "why"),
    [
        (FILE, "none", "no site 'none'"),
        (FILE, "three", "in braces"),
        (FILE, "four", "not a list with a line for each"),
        ("sites:\n- id: a\n  cameras:\n", "a", "not a list with a line for each"),
        ("sites:\n- id: a\n  cameras: []\n", "a", "not a list with a line for each"),
        ("sites: x", "a", "no site"),
        ("- a", "a", "no site"),
        ("", "a", "no site"),
        ("a: [", "a", "not YAML"),
        ("sites:\n- id: a\n  cameras: &all\n  - id: b\n  more: *all\n", "a", "cannot be added"),
    ],
)
def test_where_no_line_can_be_added(text, site, why):
    """It says why; the caller prints the lines instead."""
    with pytest.raises(InsertionError, match=why):
        with_camera(text, site, CAMERA)


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
WORDS = st.text(max_size=12)
CAMERAS = st.fixed_dictionaries(
    {"id": NAMES, "url_file": WORDS},
    optional={"zone": NAMES, "long_side": st.integers(160, 1920), "loop": st.booleans()},
)
SITES = st.lists(
    st.fixed_dictionaries(
        {"id": NAMES},
        optional={"name": WORDS, "cameras": st.lists(CAMERAS, max_size=3), "rests": st.lists(WORDS, max_size=2)},
    ),
    min_size=1, max_size=3, unique_by=lambda one: one["id"],
)  # fmt: skip


@given(SITES, CAMERAS, st.data(), st.sampled_from([None, False]), st.integers(2, 4))
def test_any_file_says_what_it_said_and_the_camera(sites, camera, data, flow, indent):
    """However YAML is written: the new file is the old one with the camera, or it is refused."""
    text = yaml.safe_dump(
        {"sites": sites, "log": {"level": "info"}}, default_flow_style=flow, indent=indent, sort_keys=False
    )
    at = data.draw(st.integers(0, len(sites) - 1))
    try:
        made = with_camera(text, sites[at]["id"], camera)
    except InsertionError as error:
        assert flow is None or "not a list" in str(error)  # noqa: PT017 - an empty list has no lines
        return
    sites[at]["cameras"] = [*sites[at].get("cameras", []), camera]
    assert yaml.safe_load(made) == {"sites": sites, "log": {"level": "info"}}
    assert added(text, made)


@given(CAMERAS)
def test_lines_are_yaml(camera):
    """Each value comes back as what it was."""
    assert yaml.safe_load("\n".join(lines(camera, 2))) == [camera]
