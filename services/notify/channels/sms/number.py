"""Telephone numbers in the networks' format (E.164), checked with libphonenumber's tables."""

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

_NO_SMS = frozenset({
    PhoneNumberType.FIXED_LINE, PhoneNumberType.TOLL_FREE, PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST,
    PhoneNumberType.UAN, PhoneNumberType.VOICEMAIL,
})  # fmt: skip


class NumberError(ValueError):
    """A text is no number that can get an SMS. The message gives the reason and the remedy, without the text."""


def e164(text: str, region: str | None = None) -> str:
    """Return the number as `+33612345678`; a region such as `FR` allows `06 12 34 56 78`. NumberError if invalid."""
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        raise NumberError(_wanted(region)) from None
    if number.extension or not phonenumbers.is_valid_number(number):
        raise NumberError(_wanted(region))
    if phonenumbers.number_type(number) in _NO_SMS:
        raise NumberError("is no mobile number (a fixed line, or one that callers pay for); an SMS needs a mobile one")
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def is_region(code: str) -> bool:
    """Return whether this is a country of ISO 3166-1 that has telephone numbers."""
    return code in phonenumbers.SUPPORTED_REGIONS


def _wanted(region: str | None) -> str:
    national = f", or one as it is dialled in {region}" if region else "; notify.sms.region allows national ones"
    return f"is no telephone number in use, such as '+33 6 12 34 56 78'{national}"
