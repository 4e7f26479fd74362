"""The public notice: the sign where the cameras are, and the page behind it (GDPR Articles 12, 13, 21). Pure."""

from collections.abc import Iterator

from operate.transparency.document import Document, DocumentTable, Section, Sentence, lines, table, told
from operate.transparency.place import SiteNotice
from operate.transparency.settings import ReceiverOutline, TransparencySettings
from proto.subjects import STREAMS

PIXELS_MS = 100
"""How long 99 of 100 pictures live at most, as promised (docs/privacy.md)."""
DECODER_S = 14
"""The longest for which a decoder was busy with one packet and held on to its pictures (docs/privacy.md)."""


def sign(place: SiteNotice, operator: TransparencySettings, made: str) -> Document:
    """Return the sign, the first layer, which people read while they walk by."""
    gettext, words = place.words.gettext, place.words
    return Document(
        language=words.language,
        title=gettext("Here we count how many people wear a mask"),
        place=place.name,
        lead=gettext("Nobody is recognised. This system keeps no picture."),
        sections=(
            Section(
                gettext("What happens"), lines(_pictures(place), place.published(), place.twice(), place.withheld())
            ),
            Section(gettext("If you do not want to be counted"), _objecting(place, operator)),
            Section(gettext("Who is responsible"), _responsible(place, operator)),
            *_no_page(place, operator),
        ),
        made=made,
        banner=place.banner(),
    )


def _objecting(place: SiteNotice, operator: TransparencySettings) -> tuple[Sentence, ...]:
    words = place.words
    right = words.gettext(
        "Where the legal basis is a public task or a legitimate interest you have the right to object (GDPR Article"
        " 21)."
    )
    return (
        told(words, "objection", operator.objection),
        told(words, "legal_basis", operator.legal_basis, words.gettext("Legal basis: ")),
        *lines(right),
    )


def _no_page(place: SiteNotice, operator: TransparencySettings) -> list[Section]:
    """Return the gap that stands where the code would be, if no address of the page is given."""
    line = told(place.words, "page_url", operator.page_url)
    return [Section(place.words.gettext("All about it"), (line,))] if line.missing else []


def page(place: SiteNotice, operator: TransparencySettings, receivers: list[ReceiverOutline], made: str) -> Document:
    """Return the page, the second layer: everything that a person may want to know."""
    gettext, words = place.words.gettext, place.words
    site = place.site
    return Document(
        language=words.language,
        title=gettext("How many people wear a mask: what the cameras here do"),
        place=place.name,
        lead=gettext("Nobody is recognised. This system keeps no picture."),
        sections=(
            Section(gettext("Who is responsible"), _responsible(place, operator)),
            Section(gettext("What for, and on which legal basis"), _why(place, operator)),
            Section(
                gettext("What is published"),
                lines(place.published(), place.withheld(), _states(place), place.about_profile()),
            ),
            Section(gettext("What happens to a picture"), lines(_pictures(place), *_sealed(place)), _lifetimes(place)),
            Section(gettext("What is not done"), lines(*_not_done(place))),
            Section(
                gettext("Who gets what"),
                (*lines(*_who(place, receivers)), told(words, "transfers", operator.transfers)),
            ),
            Section(gettext("Where and when"), lines(*_where(place)), _cameras(place) if site.cameras else None),
            Section(gettext("Your rights"), (*lines(*_rights(place)), *_doors(place, operator))),
            *further(place, operator),
            *_check(place, operator),
        ),
        made=made,
        banner=place.banner(),
    )


def _responsible(place: SiteNotice, operator: TransparencySettings) -> tuple[Sentence, ...]:
    gettext, words = place.words.gettext, place.words
    return (
        told(words, "controller", operator.controller),
        told(words, "contact", operator.contact, gettext("Questions: ")),
        told(words, "officer", operator.officer, gettext("Data-protection officer: ")),
    )


def _why(place: SiteNotice, operator: TransparencySettings) -> tuple[Sentence, ...]:
    basis = told(place.words, "legal_basis", operator.legal_basis, place.words.gettext("Legal basis: "))
    return (_purpose(place, operator), *lines(place.alerts()), basis)


def _doors(place: SiteNotice, operator: TransparencySettings) -> tuple[Sentence, ...]:
    gettext, words = place.words.gettext, place.words
    return (
        told(words, "objection", operator.objection, gettext("How to pass without being counted: ")),
        told(words, "authority", operator.authority, gettext("Complaints: ")),
    )


def _pictures(place: SiteNotice) -> str:
    return place.words.gettext(
        "A computer here looks for faces in the cameras' pictures and sees whether they wear a mask. Each picture is"
        " then overwritten: 99 of 100 within a tenth of a second. For each period we publish how many pictures at most"
        " were later."
    )


def _purpose(place: SiteNotice, operator: TransparencySettings) -> Sentence:
    general = place.words.gettext(
        "To know how many people wear a mask, and to act on it, for instance by handing out masks."
    )
    return told(place.words, "purpose", operator.purpose or general)


def _states(place: SiteNotice) -> str:
    return place.words.gettext("Besides, at once: whether each camera works, is paused or has failed, and since when.")


def _sealed(place: SiteNotice) -> Iterator[str]:
    yield place.words.gettext(
        "Between the programs a picture travels encrypted, with a key that is destroyed after two seconds. How long"
        " each picture lives is measured."
    )
    if not place.terms.is_trial:
        yield place.words.gettext("These times are not published, because they would tell whether somebody is there.")


def _lifetimes(place: SiteNotice) -> DocumentTable:
    gettext = place.words.gettext
    kept = {stream.name: stream.max_age_s or 0 for stream in STREAMS}
    rows = [
        (
            gettext("the picture"),
            gettext("memory, at the site"),
            gettext("99 of 100: {ms} ms at most", ms=PIXELS_MS),
        ),
        (
            gettext("the camera's video before it is decoded, and what decoding needs of earlier pictures"),
            gettext("memory, at the site"),
            gettext(
                "until the next pictures; some seconds once a camera pauses, ends or falls silent (the most that was"
                " measured so far: {time})",
                time=place.duration(DECODER_S),
            ),
        ),
        (
            gettext("where in the picture faces were, and whether each wore a mask"),
            gettext("memory, at the site"),
            place.duration(kept["SIGHTINGS"]),
        ),
        (
            gettext("each passage: camera, zone, mask or not, time"),
            gettext("disk, at the site"),
            place.passages_kept(kept["PASSAGES"]),
        ),
        (gettext("what is published"), gettext("disk"), place.duration(kept["WINDOWS"])),
        *_kept_for_staff(place, kept),
    ]
    return table((gettext("What"), gettext("Where"), gettext("For how long")), rows)


def _kept_for_staff(place: SiteNotice, kept: dict[str, float]) -> Iterator[tuple[str, str, str]]:
    gettext, disk = place.words.gettext, place.words.gettext("disk, at the site")
    told = {
        "DELIVERIES": gettext("which message went to which of the staff; of the address a salted hash"),
        "CONTROL": gettext("who of the staff had the counting paused, when and why"),
        "KV_SILENCES": gettext("who of the staff had alerts not told for a while, when and why"),
        "AUDIT": gettext("who of the staff looked where a camera points, or had a message sent again, when and why"),
        "DEAD": gettext("a message that a program could not read, and why"),
    }
    if place.terms.cameras:
        told["DRIFT"] = gettext(
            "of each camera's day: how many faces it saw, how large, and how certain the system was; how many passages,"
            " and of how many the face was lost where it was found. It shows a camera that has gone wrong"
        )
    for name, what in told.items():
        yield what, disk, place.duration(kept[name])


def _not_done(place: SiteNotice) -> list[str]:
    gettext = place.words.gettext
    return [
        gettext(
            "Nobody is recognised or followed from one camera to another: this system computes no features by which"
            " somebody could be told from others."
        ),
        gettext("Age, sex, origin and mood are not looked at. There is no sound."),
        gettext("This system stores no picture, shows none and sends none to anybody."),
        place.twice(),
    ]


def _who(place: SiteNotice, receivers: list[ReceiverOutline]) -> list[str]:
    gettext, ngettext = place.words.gettext, place.words.ngettext
    field = sum(count for one in receivers if one.audience == "field" for _, count in one.channels())
    operators = sum(count for one in receivers if one.audience == "operators" for _, count in one.channels())
    if place.alerts_anybody:
        staff = ngettext(
            "{count} address of staff may get alerts and reports.",
            "{count} addresses of staff may get alerts and reports.",
            field,
        )
    else:
        staff = ngettext(
            "{count} address of staff may get reports.", "{count} addresses of staff may get reports.", field
        )
    return [
        gettext("What is published may be seen by everybody to whom the operator gives access."),
        staff if field else "",
        ngettext(
            "{count} address of those who run the system is told when a camera or the system fails.",
            "{count} addresses of those who run the system are told when a camera or the system fails.",
            operators,
        )
        if operators
        else "",
    ]


def _where(place: SiteNotice) -> list[str]:
    gettext, ngettext = place.words.gettext, place.words.ngettext
    rests = place.hours(place.site.rests)
    return [
        ngettext("There is {count} camera.", "There are {count} cameras.", len(place.site.cameras)),
        gettext("Nobody is counted at these hours ({zone}):", zone=place.site.timezone) if rests else "",
        *rests,
    ]


def _cameras(place: SiteNotice) -> DocumentTable:
    """Return what each camera looks at. A camera is named by its id, since nobody may learn its address."""
    gettext = place.words.gettext
    rows = [
        (
            camera.id,
            place.zone(camera),
            place.yes(camera.privacy is not None),
            "; ".join(place.hours(camera.rests)) or "–",
        )
        for camera in place.site.cameras
    ]
    return table((gettext("Camera"), gettext("Looks at"), gettext("Areas made black"), gettext("Also rests")), rows)


def _rights(place: SiteNotice) -> list[str]:
    gettext = place.words.gettext
    return [
        gettext(
            "You may object (GDPR Article 21). Do so before you pass the cameras: this system recognises nobody and"
            " keeps no picture, so what was counted of you cannot be found, shown, corrected or deleted afterwards"
            " (Article 11)."
        ),
        gettext("Nothing about you is decided by a machine."),
    ]


def further(place: SiteNotice, operator: TransparencySettings) -> list[Section]:
    """Return what else the operator says, in the operator's own words."""
    if operator.further is None:
        return []
    heading = place.words.gettext("Further information")
    return [Section(heading, (told(place.words, "further", operator.further),))]


def _check(place: SiteNotice, operator: TransparencySettings) -> list[Section]:
    """Return how anybody can check what is said, which takes the software: nothing if nobody says where it is."""
    if operator.source_url is None:
        return []
    gettext = place.words.gettext
    where = gettext("The software is open. Anybody may read it and run it: ")
    proof = gettext(
        "“moretta prove” runs it and searches memory, disks, messages and network for pictures. “docs/privacy.md” says"
        " what is promised, what is measured, and what is not promised."
    )
    found = told(place.words, "source_url", operator.source_url, where)
    return [Section(gettext("How to check this"), (found, *lines(proof)))]
