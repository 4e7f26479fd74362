"""The public notice and the annex: what they say of each profile, what they must not say, and gaps shown as gaps."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import structs

from operate.transparency.annex import annex
from operate.transparency.document import Document
from operate.transparency.examples import EXAMPLES, is_example
from operate.transparency.notice import page, sign
from operate.transparency.place import SiteNotice
from operate.transparency.settings import ReceiverOutline, TransparencySettings
from operate.transparency.write import in_language, write
from services.kernel.settings import SettingsError
from services.sites.settings import CameraSettings, RestSettings, RuleSettings, SiteSettings, ZoneSettings

EN, FR = in_language("en"), in_language("fr")
NOW = datetime(2026, 11, 25, 17, 0, tzinfo=UTC)
CAMERAS = [CameraSettings(id="gate-1", url="rtsp://user:pass@10.0.0.5/s", zone="gate")]
SITE = SiteSettings(
    id="forville",
    name="Marché <Forville>",
    timezone="Europe/Paris",
    profile="alerting",
    cameras=CAMERAS,
    zones=[ZoneSettings(id="gate", name="Entrée nord")],
    rules=[RuleSettings(id="low", fire_below=0.7, clear_above=0.75, min_persons=5)],
    rests=[RestSettings(start="20:00", end="07:00", days=("sun", "mon"))],
)
FILE = """
sites:
  - id: forville
    name: Marché <Forville>
    profile: stats-only
    zones: [{id: gate}]
    cameras:
      - {id: gate-1, zone: gate, url: "rtsp://user:geheim@10.9.8.7/s"}
      - {id: gate-2, zone: gate, url_file: /nowhere/url}
notify:
  smtp: {host: mail.example.org, user: moretta, password_file: /nowhere/password, sender: moretta@example.org}
  salt_file: /nowhere/salt
  receivers: [{id: staff, email: [someone@example.org], sms: ["+33612345678"], webhooks: [{url_file: /nowhere/hook}]}]
"""
OPERATOR = ("controller", "contact", "officer", "legal_basis", "objection", "authority", "transfers")
WHOLE = TransparencySettings(**dict.fromkeys(OPERATOR, "said"))


def text(document: Document) -> str:
    tables = [section.table for section in document.sections if section.table]
    cells = [cell for table in tables for row in (table.columns, *table.rows) for cell in row]
    return "\n".join([*(line.text for section in document.sections for line in section.lines), *cells])


def site(profile: str, **other: object) -> SiteSettings:
    changes = {name: getattr(SITE, name) for name in SITE.__struct_fields__}
    return SiteSettings(**{**changes, "profile": profile, **other})


@pytest.mark.parametrize(
    ("profile", "says", "not_says"),
    [
        ("fr-2021-269", ["Of people nothing else.", "authorises nothing today", "Nobody is alerted."], ["each zone"]),
        ("stats-only", ["each zone", "fewer than 10 passages", "worked out", "Nobody is alerted."], ["decree"]),
        ("alerting", ["each zone", "at least 20", "no law is cited"], ["decree", "Nobody is alerted."]),
        ("lab", ["no limit is in force", "at least 5"], ["no law is cited"]),
    ],
)  # fmt: skip
def test_a_page_says_what_its_profile_allows(profile: str, says: list[str], not_says: list[str]):
    """As docs/privacy.md words the profiles; the strictest of rule and profile is what counts."""
    found = text(page(SiteNotice(site(profile), EN), WHOLE, [], ""))
    assert all(part in found for part in says)
    assert not any(part in found for part in not_says)


def test_sign_and_page_say_of_how_many_pictures_the_promise_is():
    """And that an upper bound of the others is published, but no lifetime (ADR 40), in both languages."""
    for words, said, bound in (
        (EN, ("99 of 100", "For each period we publish how many pictures at most"), "not published"),
        (FR, ("99 sur 100", "Pour chaque période, nous publions combien d’images au plus"), "pas publiées"),
    ):
        place = SiteNotice(SITE, words)
        notice = text(page(place, WHOLE, [], ""))
        assert all(part in text(one) for one in (sign(place, WHOLE, ""), page(place, WHOLE, [], "")) for part in said)
        assert bound in notice
        assert bound in text(annex(place, WHOLE, [], ""))


def test_the_sign_says_that_passages_are_counted():
    """One stallholder may pass ten times. How much was observed is shown all the same."""
    for words, counted, withheld in (
        (EN, "A person who passes twice is counted twice", "fewer than 10 passages shows no number of people"),
        (FR, "Une personne qui passe deux fois est comptée deux fois", "moins de 10 passages ne montre ni nombre"),
    ):
        found = text(sign(SiteNotice(site("stats-only"), words), WHOLE, ""))
        assert counted in found
        assert withheld in found


@pytest.mark.parametrize("language", ["en", "fr"])
def test_each_denial_is_of_this_system_alone(language: str):
    """The cameras and a recorder beside them are not Moretta's: "no picture is kept" would be said of them, too."""
    place, system = SiteNotice(SITE, in_language(language)), {"en": "his system", "fr": "e système"}[language]
    notice, first = page(place, WHOLE, [], ""), sign(place, WHOLE, "")
    denials = [first.lead, notice.lead, *(line.text for one in notice.sections for line in one.lines)]
    denied = [text for text in denials if re.search(r"no picture|no features|aucune image|aucune caract", text)]
    assert len(denied) == 5
    assert all(system in text for text in denied)


@pytest.mark.parametrize(
    ("profile", "rules", "staff", "steps"),
    [("alerting", SITE.rules, "may get alerts and reports.", True), ("stats-only", [], "may get reports.", True),
     ("lab", SITE.rules, "may get alerts and reports.", False)],
)  # fmt: skip
def test_what_is_told_of_staff_and_of_cameras_follows_the_settings(profile, rules, staff, steps):
    """No alerts where there are none; a camera's state is public; in trials nothing is told in coarse steps."""
    place = SiteNotice(site(profile, rules=rules), EN)
    notice = text(page(place, WHOLE, [ReceiverOutline(id="staff", email=["a@example.org"])], ""))
    assert f"1 address of staff {staff}" in notice
    assert "at once: whether each camera works, is paused or has failed" in notice
    assert ("have coarse steps" in text(annex(place, WHOLE, [], ""))) is steps


def test_of_passages_is_said_what_the_disk_still_has():
    """As docs/privacy.md has it: two hours are when NATS gives them to nobody any more."""
    for make in (page, annex):
        found = text(make(SiteNotice(SITE, EN), WHOLE, [], ""))
        assert "2 hours, and for as long as the system is switched off; then no program gets them any more" in found


@pytest.mark.parametrize(("profile", "days"), [("alerting", True), ("stats-only", True), ("fr-2021-269", False)])
def test_the_page_names_what_is_kept_for_the_staff(profile, days):
    """A camera's day is kept where a camera may be looked at alone; dead letters and orders everywhere."""
    place = SiteNotice(site(profile, rules=[], zones=[], cameras=[]), EN)
    found = text(page(place, WHOLE, [], ""))
    assert ("It shows a camera that has gone wrong\ndisk, at the site\n16 days" in found) is days
    assert "a message that a program could not read, and why\ndisk, at the site\n7 days" in found
    assert found.count("\ndisk, at the site\n400 days") == 4


def test_the_longest_of_a_decoder_is_told_as_measured_so_far():
    """It is no bound: another packet may take longer."""
    assert "the most that was measured so far: 14 seconds" in text(page(SiteNotice(SITE, EN), WHOLE, [], ""))
    assert "le plus long mesuré à ce jour\u00a0: 14" in text(page(SiteNotice(SITE, FR), WHOLE, [], ""))


def test_only_trials_have_a_banner():
    """A sign made in the profile lab says that it is none."""
    assert [bool(sign(SiteNotice(site(p), EN), WHOLE, "").banner) for p in ("lab", "alerting", "fr-2021-269")] == [
        True, False, False,
    ]  # fmt: skip


def test_the_sign_names_the_right_to_object_and_the_legal_basis():
    """What a passer-by needs to know before the page behind the sign; the right also where nobody said the basis."""
    for words, basis, right in (
        (EN, "Legal basis: said", "you have the right to object (GDPR Article 21)."),
        (FR, "Base juridique\u00a0: said", "vous avez le droit de vous opposer (RGPD, article 21)."),
    ):
        assert basis in text(sign(SiteNotice(SITE, words), WHOLE, ""))
        for said in (WHOLE, TransparencySettings()):
            assert right in text(sign(SiteNotice(SITE, words), said, ""))


def test_times_that_are_not_published_are_so_where_they_are_not():
    """Metrics of a trial tell of each picture."""
    said = "These times are not published"
    told = {p: said in text(page(SiteNotice(site(p), EN), WHOLE, [], "")) for p in ("lab", "alerting", "fr-2021-269")}
    assert told == {"lab": False, "alerting": True, "fr-2021-269": True}


def test_what_nobody_said_is_a_gap_with_the_path_of_its_setting():
    """And it is asked for in the language in which it is missing."""
    partly = TransparencySettings(
        controller="Cannes", legal_basis={"en": "Article 6(1)(e)"}, objection="Use the south gate."
    )
    assert page(SiteNotice(SITE, EN), WHOLE, [], "").missing() == {}
    missing = page(SiteNotice(SITE, FR), partly, [], "").missing()
    assert set(missing) == {
        "transparency.contact", "transparency.officer", "transparency.legal_basis.fr", "transparency.transfers",
        "transparency.authority",
    }  # fmt: skip
    missing = sign(SiteNotice(SITE, EN), partly, "").missing()
    assert missing == dict.fromkeys(
        ("transparency.contact", "transparency.officer", "transparency.page_url"), "is missing"
    )


def test_what_is_still_the_example_s_is_a_gap(tmp_path: Path):
    """Each text of docs/site.example.yaml but the authority's; no sign bears it, and no code leads to example.org."""
    example = (Path(__file__).parents[3] / "docs/site.example.yaml").read_text(encoding="utf-8")
    section = example[example.index("# transparency:") : example.index("# Where traces go")]
    section = re.sub(r"\n#   # (?=(?:purpose|further|source_url): )", "\n#   ", section)  # what may be left out, too
    (file := tmp_path / "site.yaml").write_text(FILE + section.replace("\n# ", "\n").removeprefix("# "))
    written, missing = write(file, tmp_path / "out", [], NOW)
    whys = dict.fromkeys(missing.values())
    assert len(missing) == 13  # ten settings, three of them in two languages, and no authority
    assert all(why.startswith("is still the example's, '") for why in whys)
    assert set(OPERATOR) - {path.split(".")[1] for path in missing} == {"authority"}
    for path in written:
        assert not any(text in path.read_text() for text in (*EXAMPLES, "www.example.org"))
    assert is_example("Questions: masks@example.com.")
    assert not is_example("https://masks-example.org/, and an example of it")


def test_hours_are_those_of_the_site_in_the_reader_s_words():
    """Days in the order of a week."""
    assert SiteNotice(SITE, FR).hours(SITE.rests) == ["lundi et dimanche\u00a0: 20:00 à 07:00"]
    assert SiteNotice(SITE, EN).duration(1_200) == "20 minutes"
    assert [SiteNotice(SITE, FR).duration(s) for s in (5, 90, 7_200, 400 * 86_400)] == [
        "5\u00a0secondes", "90\u00a0secondes", "2\u00a0heures", "400\u00a0jours",
    ]  # fmt: skip


def test_the_annex_has_the_settings_and_every_stream():
    """A stream that is added to the one table and has no word here raises KeyError."""
    assert "DRIFT" not in text(annex(SiteNotice(site("fr-2021-269"), EN), WHOLE, [], ""))
    found = text(annex(SiteNotice(SITE, EN), WHOLE, [], ""))
    assert all(
        part in found for part in ("network, not encrypted", "70%", "75%", "DELIVERIES", "400 days", "70 minutes")
    )


def test_each_risk_has_a_test_that_there_is_or_says_that_there_is_none():
    """In both languages."""
    root = Path(__file__).parents[3]
    for words in (EN, FR):
        (risks,) = [
            section.table for section in annex(SiteNotice(SITE, words), WHOLE, [], "").sections
            if section.table and len(section.table.columns) == 4 and "moretta prove" in str(section.table.rows)
        ]  # fmt: skip
        assert len(risks.rows) == 11
        assert all(all(row) for row in risks.rows)
        assert "moretta nats replace" in [row[2] for row in risks.rows]  # after `rotate` a stolen key is in force, too
        named = re.findall(r"tests/[\w/]+\.py", str(risks.rows))
        assert [path for path in named if not (root / path).is_file()] == []
        assert len(named) == 8


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_annex_says_where_the_other_risks_are_and_how_a_test_is_run(language: str):
    """docs/data-protection.md has more of them than it."""
    found = text(annex(SiteNotice(SITE, in_language(language)), WHOLE, [], ""))
    assert "docs/data-protection.md" in found
    assert ".venv/bin/python -m pytest -q " in found


def test_a_reader_is_told_which_text_is_the_legal_basis_and_which_the_way_past():
    """The operator's own words alone would not say what they are."""
    said = [line.text for section in page(SiteNotice(SITE, EN), WHOLE, [], "").sections for line in section.lines]
    assert {"Legal basis: said", "How to pass without being counted: said"} <= {*said}
    assert "If you do not want to be counted" in [one.heading for one in sign(SiteNotice(SITE, EN), WHOLE, "").sections]


def test_purpose_and_further_facts_are_the_operator_s_where_given():
    """In notice and annex, in the reader's language. One that lacks this language is a gap; one left out is none."""
    told = structs.replace(WHOLE, purpose={"fr": "Décider."}, further={"en": "Backups: 30 days.", "fr": "Sauvegardes."})
    for make in (page, annex):
        general, own = (make(SiteNotice(SITE, FR), one, [], "") for one in (WHOLE, told))
        assert "en distribuant des masques" in text(general)
        assert "Décider." in text(own)
        assert "distribuant" not in text(own)
        assert ("Autres informations", "Sauvegardes.") in [
            (one.heading, one.lines[0].text) for one in own.sections if one.lines
        ]
        assert "Autres informations" not in [one.heading for one in general.sections]
        assert general.missing() == own.missing() == {}
        assert set(make(SiteNotice(SITE, EN), told, [], "").missing()) == {"transparency.purpose.en"}


def test_how_to_check_is_said_where_the_software_can_be_had():
    """Without an address nobody could, so nothing is said; it is no gap. An address of the example is one."""
    place = SiteNotice(SITE, FR)
    assert "moretta prove" not in text(page(place, WHOLE, [], ""))
    told = structs.replace(WHOLE, source_url="https://code.test/moretta")
    found = page(place, told, [], "")
    assert found.missing() == {}
    assert "Chacun peut le lire et le faire fonctionner\u00a0: https://code.test/moretta" in text(found)
    assert "moretta prove" in text(found)
    left = page(place, structs.replace(WHOLE, source_url="https://www.example.org/moretta"), [], "")
    assert set(left.missing()) == {"transparency.source_url"}


def test_documents_hold_no_address_number_or_password_and_open_no_secret(tmp_path: Path):
    """They are published. Names are escaped, and nothing is fetched from elsewhere."""
    file = tmp_path / "site.yaml"
    file.write_text(FILE)
    written, missing = write(file, tmp_path / "out", [], NOW)
    names = {
        f"forville-{kind}.{language}.html" for kind in ("sign", "notice", "dpia-annex") for language in ("en", "fr")
    }
    assert {path.name for path in written} == names
    assert len(missing) == 8
    for path in written:
        html = path.read_text()
        assert not re.search(r"geheim|10\.9\.8\.7|someone|example\.org|336123|nowhere|<Forville>", html)
        assert "Marché &lt;Forville&gt;" in html
        assert not re.search(r"(src|href)=", html)
    assert "named in a file of its own" in (tmp_path / "out/forville-dpia-annex.en.html").read_text()


def test_the_sign_has_a_code_that_leads_to_the_page(tmp_path: Path):
    """The second layer is where the first one points to."""
    file = tmp_path / "site.yaml"
    file.write_text(FILE + "transparency: {page_url: 'https://masks.test/a?b=1&c=2'}\n")
    written, _ = write(file, tmp_path, ["fr"], NOW)
    html = next(path for path in written if "sign" in path.name).read_text()
    assert '<a href="https://masks.test/a?b=1&amp;c=2">' in html
    assert html.count("<svg") == 2


@pytest.mark.parametrize(
    ("language", "out", "why"),
    [("xx", "out", "--language: no 'xx'; there are en, fr"), ("fr", "site.yaml", "--out: .* is a file; name a folder")],
)
def test_a_mistake_names_the_option_and_what_would_be_right(tmp_path: Path, language: str, out: str, why: str):
    """Nothing is written then."""
    file = tmp_path / "site.yaml"
    file.write_text(FILE)
    with pytest.raises(SettingsError, match=why):
        write(file, tmp_path / out, [language], NOW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["site.yaml"]


def test_a_receiver_of_an_unknown_site_is_told_with_its_path(tmp_path: Path):
    """As notify itself tells it."""
    file = tmp_path / "site.yaml"
    file.write_text(FILE.replace("{id: staff,", "{id: staff, sites: [forvile],"))
    with pytest.raises(SettingsError, match=r"notify\.receivers\[0\]\.sites\[0\]: unknown site 'forvile'"):
        write(file, tmp_path / "out", [], NOW)


def test_settings_that_a_profile_forbids_make_no_notice(tmp_path: Path):
    """What aggregate would refuse is told in the same words."""
    file = tmp_path / "site.yaml"
    file.write_text(FILE.replace("profile: stats-only", "profile: fr-2021-269"))
    with pytest.raises(SettingsError, match=r"sites\[0\]\.zones"):
        write(file, tmp_path / "out", [], NOW)


def test_a_site_without_cameras_gets_no_notice(tmp_path: Path):
    """As one from which the films were taken out: it would say that there are 0 cameras."""
    (file := tmp_path / "site.yaml").write_text("sites: [{id: market, profile: lab}]")
    with pytest.raises(SettingsError, match=r"sites\[0\].cameras: is empty, so there is nothing to tell of 'market'"):
        write(file, tmp_path / "out", [], NOW)
    assert not (tmp_path / "out").exists()


def test_a_recorded_film_gets_no_notice(tmp_path: Path):
    """It is kept, so the documents would be untrue; the error names the camera, and nothing is written."""
    (file := tmp_path / "site.yaml").write_text(FILE.replace("url_file: /nowhere/url}", "url: monday.mp4}", 1))
    with pytest.raises(SettingsError) as error:
        write(file, tmp_path / "out", [], NOW)
    assert str(error.value).startswith(
        f"{file}: sites[0].cameras[1].url: 'monday.mp4' is a recorded film, which is kept"
    )
    assert not (tmp_path / "out").exists()
