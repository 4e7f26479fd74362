"""What the officer for data protection is told: what is public, what to check before signing, what to do when."""

from documents import rows_of, section, text_of

from testbed.proof.proof import SECONDS_OF_WORK
from testbed.proof.report import WORDS


def test_the_officer_is_told_that_a_pause_is_public_at_once():
    """As `CameraV1.since` is: in the summary, under Art. 21, and among the risks."""
    assert "public at once" in section("docs/data-protection.md", "In one minute")
    (objects,) = (row for row in rows_of("docs/data-protection.md", "| evidence |") if row[0] == "21")
    assert "publishes" in objects[2]
    risks = [row for row in rows_of("docs/data-protection.md", "what remains |") if "when somebody objected" in row[0]]
    assert [row[1] for row in risks] == ["a pause at fixed hours, or one that lasts longer than the person's way"]


def test_the_officer_is_told_the_command_against_a_thief():
    """`rotate` leaves the stolen key in force until `retire`."""
    risks = [row for row in rows_of("docs/data-protection.md", "what remains |") if "taken over" in row[0]]
    assert [("replace" in row[2], "rotate" in row[2]) for row in risks] == [(True, False)]


def test_the_officer_is_told_how_to_see_what_is_black():
    """No page of Moretta's shows a camera's picture: a still comes from the camera itself."""
    asked = section("docs/data-protection.md", "What to check before you sign")
    assert "`ffmpeg -i URL -frames:v 1 still.jpg`" in asked
    assert "Look at its picture" not in text_of("docs/data-protection.md")


def test_the_proof_says_what_to_do_when_pictures_lived_too_long():
    """The words are the verdict's own, and the pictures are those of its usual time."""
    told = section("docs/privacy.md", "Repeat the proof")
    assert WORDS["too long"] in told
    assert f"the usual {SECONDS_OF_WORK:g} seconds" in told
    assert "Keep that report, too" in told


def test_the_officer_is_asked_whether_the_cameras_record_elsewhere():
    """The sign speaks of Moretta alone."""
    asked = section("docs/data-protection.md", "What to check before you sign")
    assert "If the cameras record elsewhere, say so beside the sign" in asked
