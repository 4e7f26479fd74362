"""Figures that documents tell in short are those that were measured: of the bench, the model's card and its errors."""

import re

import pytest
from documents import rows_of, section, text_of

from operate.notify.test_message import example
from proto.public import AlertV1
from services.inference.errors import read_errors
from services.inference.model import MODELS, load_model
from services.statistics.figures import Rates, rates
from services.statistics.rate_interval import Judged


def figures(text: str) -> list[str]:
    """Return the numbers of a text as they are written, not those in names such as p99 and 1080p25."""
    return re.findall(r"(?<![\w.-])\d+(?: \d{3})*(?:\.\d+)?(?!\w)", re.sub(r"\(.*?\)|`.*?`", "", text))


def has(document: str, figure: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(figure)}(?!\w|\.\d)", text_of(document)) is not None


def cited(text: str) -> str:
    """Return the document that a text links to first."""
    return re.findall(r"\]\(([\w./-]+\.md)", text)[0]


def test_each_number_that_the_readme_promises_is_in_the_document_that_it_cites():
    """What was measured, and the limits: whoever measures anew sees that README.md tells the old figures."""
    promises = [line.strip("|").split(" | ") for line in section("README.md", "The promise, measured").splitlines()[3:]]
    told = [(measured, cited(where)) for _, measured, where in filter(len, promises[:4])]
    told += [(one, cited(one)) for one in section("README.md", "Limits").split("\n- ") if ".md" in one]
    pairs = [(figure, document) for text, document in told for figure in figures(text)]
    assert len(pairs) >= 12
    assert [pair for pair in pairs if not has(pair[1], pair[0])] == []


def test_the_readme_s_capacity_is_the_bench_s():
    """The same figures as in the rows of capacity.md that they are of: the newest, and the fastest."""
    newest = {
        row[1]: (row[4].removesuffix(" ms"), row[2]) for row in rows_of("docs/capacity.md", "| stream | cameras |")
    }
    p99, cameras = newest["1920x1080, 25"]
    assert f"p99 {p99} ms with {cameras} cameras at 1080p25" in text_of("README.md")
    rows = {row[0]: row[2] for row in rows_of("docs/capacity.md", "row | target | found")}
    cameras, p99 = re.findall(r"^(\d+) .*?at \1 p99 (\d+) ms", rows["cameras at 1080p25"])[0]
    half = re.findall(r"/ ([\d.]+) ms", rows["half load: p50 / p99"])[0]
    assert f"p99 {p99} ms with {cameras} cameras at 1080p25 on two cores, {half} ms at half load" in text_of(
        "README.md"
    )


def _share(cell: str) -> float:
    return float(cell.removesuffix(" %"))


def test_the_readme_s_figures_of_the_model_are_the_model_card_s():
    """Right, missed, off, and badly worn masks taken for good ones: reckoned from the card's own tables."""
    card = "services/inference/models/MODEL_CARD.md"
    found = {row[0]: row[1:] for row in rows_of(card, "| mask right |")[:2]}
    elsewhere = rows_of(card, "| recall, masked | recall, bare |")
    worn = [row[1].split(" of ") for row in rows_of(card, "| incorrect faces said not to be masked |")]
    missed = [round(100 - float(row[3].removesuffix(" %"))) for row in found.values()]
    wrong = [f"{int(all_) - int(right)} of {all_}" for right, all_ in worn[:2]]
    readme = " ".join(text_of("README.md").split())
    *_, true, said, _ = max(elsewhere, key=lambda row: abs(_share(row[11]) - _share(row[12])))
    assert f"{true} of the faces were masked, and they said {said}" in readme
    right, masked, bare = ([_share(row[place]) for row in elsewhere if row[place] != "-"] for place in (8, 5, 6))
    assert f"mask or no mask is right for {min(right)} to {max(right)} %" in readme
    assert f"{min(masked)} to {max(masked)} % of the masked faces" in readme
    assert f"{min(bare)} to {max(bare)} % of the bare ones" in readme
    assert f"{missed[0]} and {missed[1]} % of the faces were not found" in readme
    assert f"of badly worn masks {wrong[0]} and {wrong[1]} were taken for good ones" in readme


def test_the_worst_that_is_told_is_the_worst_of_the_sources():
    """Small faces and badly worn masks, in README.md and for the officer: as the table of ADR 44 has them."""
    rows = rows_of("docs/adr/0044-finer-level.md", "badly worn taken for good | rate off, points |")
    small = min(float(row[4].split()[0]) for row in rows if row[4])
    worn = sorted((int(row[6].strip("* %")) for row in rows if row[6]), reverse=True)
    masked = [float(re.findall(r"[\d.]+", row[3])[0]) for row in rows if not row[3].startswith("-")]
    readme, officer = " ".join(text_of("README.md").split()), text_of("docs/data-protection.md")
    assert f"as few as {small} % of the faces that have 10 to 20 px" in readme
    assert f"{worn[0]} % of the badly worn masks were taken for good ones" in readme
    assert "{} and {} % of the badly worn masks".format(*worn) in officer
    assert (len(masked), round((100 - min(masked)) / 20)) == (7, 1)
    assert "in the worst of seven one masked face in five was not found" in officer


def test_how_many_small_faces_are_missed_is_told_as_it_was_measured():
    """For whoever hangs a camera, and for whoever chooses a size."""
    sizes = {row[0]: row[2].split(" % of ") for row in rows_of("docs/model/speed.md", "found at 640")}
    faces = {name: (round(float(share) * int(of) / 100), int(of)) for name, (share, of) in sizes.items()}
    found = [faces[name] for name in ("8–12 px", "12–16 px", "16–24 px", "24–32 px")]
    missed = [f"{of - hits} of {of}" for hits, of in found]
    told = "{} faces of 8 to 12 pixels, {} of 12 to 16, {} of 16 to 24, {} of 24 to 32 and one in 20".format(*missed)
    assert told in text_of("docs/cameras.md")
    hits = [f"{hits} of {of}" for hits, of in found[1:]]
    told = "{} faces of 12 to 16 px are found, {} of 16 to 24, {} of 24 to 32, and of larger ones 19 in 20".format(
        *hits
    )
    assert told in " ".join(text_of("docs/model/speed.md").split())
    larger = [faces[name] for name in ("32–64 px", "64–128 px", "128 px and more")]
    assert round(20 * sum(hits for hits, _ in larger) / sum(of for _, of in larger)) == 19


def _with_errors(masked: int, people: int) -> Rates:
    """Return the rate of so many masked of so many judged people, with the shipped model's errors in its interval."""
    return rates(masked, [Judged(people, read_errors(MODELS, load_model().sha256))])


def test_the_intervals_that_are_told_are_those_of_the_shipped_model():
    """A rule's example in operations.md, and the invented alert of `moretta notify test`, which fires."""
    ends = [_with_errors(masked, 100).interval or () for masked in (55, 65)]
    low, high = (" to ".join(f"{round(100 * end)} %" for end in pair) for pair in ends)
    assert f"55 % of 100 people ({low}) is below 70 %, 65 % ({high}) is not yet" in text_of("docs/operations.md")
    alert = example("staff", "market", 0).notices[0].message
    assert isinstance(alert, AlertV1)
    told = _with_errors(83, alert.persons)
    assert (alert.rate, alert.interval, alert.sampling_interval) == (told.rate, told.interval, told.sampling_interval)
    assert alert.interval[1] < alert.fire_below


@pytest.mark.parametrize("document", ["README.md", "docs/privacy.md"])
def test_who_promises_how_long_a_picture_lives_says_of_how_many(document: str):
    """It is 99 of 100 (p99), wherever the promise is told in short, the drawing included."""
    text = text_of(document)
    told = [
        text[max(0, at.start() - 160) : at.end() + 60] for at in re.finditer(r"at most\s100 ms", text, re.IGNORECASE)
    ]
    assert len(told) > 1
    assert [one for one in told if "99 of 100" not in one] == []


@pytest.mark.parametrize(
    ("document", "bound"),
    [
        ("docs/data-protection.md", "for each period, how many lived longer at most"),
        ("services/ingest/page/en.json", "How many at most were slower in a period"),
        ("services/ingest/page/fr.json", "Pour chaque période, le nombre maximal d’images plus lentes"),
    ],
)
def test_of_late_pictures_an_upper_bound_is_published(document: str, bound: str):
    """And not their number: it would follow the crowd (ADR 40)."""
    assert bound in text_of(document)
    assert not re.search(
        r"measured(?:, shown below)? and published|mesuré(?:, affiché plus bas)? et publié", text_of(document)
    )
