"""The page of the report, as a browser reads it."""

from collections import Counter
from html.parser import HTMLParser

import pytest
from measured import face, false_alarm, missed

from modelling.evaluation.outcomes import mistakes, worst
from modelling.evaluation.report import GENERATOR, Shown, page

FIGURES = {"model": "moretta-test", "images": 3, "faces": 7, "min_px": 12.0, "long_side": 640}
WRONG = face("no_mask", "mask", confidence=0.973)


class Read(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag, attribute):
        """Every value of an attribute."""
        return [attrs[attribute] for name, attrs in self.tags if name == tag and attribute in attrs]


def read(*some, file="images/a.jpg", limit=40):
    """The page of these outcomes."""
    found = mistakes(some)
    shown = [Shown(f"worst/{n:02}-{one.kind}.png", one, file) for n, one in enumerate(worst(found, limit), start=1)]
    return Read(page(FIGURES, shown, Counter(one.kind for one in found)))


def test_every_picture_is_shown_and_linked():
    """Both charts and each crop, each with words for those who do not see it."""
    seen = read(WRONG, missed(), false_alarm())
    pictures = ["reliability.png", "by_size.png"]
    pictures += ["worst/01-wrong.png", "worst/02-missed.png", "worst/03-false-alarm.png"]
    assert seen.all("img", "src") == seen.all("a", "href") == pictures
    assert all(seen.all("img", "alt"))
    assert len(seen.all("img", "alt")) == 5


def test_it_is_static_and_stays_at_home():
    """No script, no address of another place, nothing that is loaded from the network."""
    seen = read(WRONG)
    names = {name for name, _ in seen.tags}
    assert not names & {"script", "iframe", "object", "embed", "form", "link", "base"}
    assert not [key for _, attrs in seen.tags for key in attrs if key.startswith("on")]
    assert not [value for _, attrs in seen.tags for value in attrs.values() if value and "//" in value]


def test_it_is_known_again():
    """An earlier report is recognised by this mark."""
    assert GENERATOR in read().all("meta", "content")


def test_light_and_dark():
    """The browser may choose either."""
    assert "light dark" in read().all("meta", "content")


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (WRONG, "annotated: no mask; judged: mask, 97 % sure"),
        (face("mask", "incorrect", confidence=0.65), "annotated: mask; judged: worn incorrectly, 65 % sure"),
        (missed("incorrect", score=0.31), "annotated: worn incorrectly; the best box there scored 0.31"),
        (missed("mask"), "annotated: mask; no box there"),
        (false_alarm("no_mask", score=0.88), "found: no mask; score 0.88"),
        (false_alarm("unknown", score=0.88), "found: unknown; score 0.88"),
    ],
)
def test_captions(outcome, words):
    """What is wrong, in words; the face's size and the picture it is from."""
    text = read(outcome).text
    assert f"{words}; 20 px" in text
    assert "images/a.jpg" in text


def test_how_many_there_are_and_how_many_are_shown():
    """Headings count all errors; where not all are shown, it says so."""
    text = read(*[missed()] * 5, limit=3).text
    assert "Missed faces: 5" in text
    assert "Shown are 3." in text
    assert "Wrong verdicts: 0" in text
    assert "Shown are" not in read(*[missed()] * 5).text


def test_a_name_is_only_a_name():
    """A file's name cannot bring a tag along."""
    seen = read(WRONG, file="images/<script>alert(1)</script>&.jpg")
    assert "script" not in {name for name, _ in seen.tags}
    assert "images/<script>alert(1)</script>&.jpg" in seen.text


def test_what_was_measured():
    """Model, pictures, faces and size stand at the top."""
    text = " ".join(read().text.split())
    assert "What moretta-test gets wrong" in text
    assert "3 annotated pictures with 7 faces of at least 12 px, analysed at 640 px" in text


def test_a_badly_masked_face_taken_for_a_bare_one_is_told_apart():
    """Sure was only that there is no proper mask: the caption does not say more."""
    seen = read(face("incorrect", "no_mask", confidence=0.99))
    assert "annotated: worn incorrectly; judged: no mask; 99 % sure that it is not masked" in seen.text
