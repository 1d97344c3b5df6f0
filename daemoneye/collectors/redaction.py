"""Secrets in what we publish: found by how they are written, replaced by `***`.  Pure.

A command line is read by anybody who may read events, long after its process is gone, so what
looks like a secret is replaced before it leaves the collector.  It is a net, not a proof: a bare
secret in a position only its program knows (`mysql -psecret`, `tool SECRET`) passes through.

What is recognised
* `--password=x`, `--password x`, `-Dspring.datasource.password=x`, `PGPASSWORD=x`, `"token": "x"`:
  a name whose last word is secret (`--token-file x` and `--no-password` are not);
* `scheme://user:secret@host` and `-u user:secret`, the way curl takes it;
* `Authorization: Bearer x` and cookies;
* tokens that show what they are: JSON web tokens, GitHub, AWS, Slack, Stripe, private-key blocks.

A name such as `--token` hides the next argument too, unless that begins with `-`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

MASK = "***"

# Any word that ends so: PGPASSWORD, dbPassword, clientSecret, access_token.
_SECRET_ENDINGS = ("password", "passwd", "passphrase", "secret", "token", "apikey", "credentials")
# Only the whole word: `compass` and `monkey` are no secrets.
_SECRET_WORDS = frozenset({"pass", "pwd", "pw", "credential", "cookie", "auth", "authorization"})
# `key` alone is a map's key or a file; after one of these it is a secret.
_KEY_OWNERS = frozenset(
    {"api", "access", "secret", "private", "auth", "encryption", "account", "master", "signing"}
)

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_OPTION = re.compile(r"--?[A-Za-z][\w.-]*")
# Names begin only where no name goes on, so that a long text without any is read once, not squared.
_ASSIGNMENT = re.compile(r"(?<![\w.-])(-*[A-Za-z_][\w.-]*)[\"']?\s*[=:]\s*")
_VALUE = re.compile(r"\"[^\"]*\"|'[^']*'|[^\s\"'&,;}]+")
_URL_SECRET = re.compile(r"(?P<head>(?<![\w+.-])[A-Za-z][\w+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)")
_HEADER = re.compile(
    r"(?P<head>\b(?:(?:proxy-)?authorization|x-api-key|set-cookie|cookie)\s*:\s*)[^\"'\n]+", re.I
)
_TELLING = re.compile(
    r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*|\bgh[pousr]_\w{20,}|\bgithub_pat_\w{20,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bxox[abprs]-[\w-]{10,}|\b[sr]k_live_\w{10,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*"
)
_LOGIN_OPTIONS = frozenset({"-u", "--user", "--proxy-user"})


def is_secret_name(name: str) -> bool:
    """Whether a value under this name is a secret: the last word decides, as people name things."""
    words = [word.lower() for word in _WORDS.findall(name)]
    if not words or words[0] == "no":
        return False
    last = words[-1]
    if last == "key":
        return len(words) > 1 and words[-2] in _KEY_OWNERS
    return last in _SECRET_WORDS or last.endswith(_SECRET_ENDINGS)


def redact_text(text: str) -> str:
    """One argument or one line, with what looks like a secret replaced."""
    text = _TELLING.sub(MASK, text)
    text = _HEADER.sub(lambda found: found["head"] + MASK, text)
    text = _URL_SECRET.sub(lambda found: found["head"] + MASK, text)
    return _redact_assignments(text)


def redact_command_line(arguments: Iterable[str]) -> tuple[str, ...]:
    """A command line with its secrets replaced; as many arguments as before."""
    redacted: list[str] = []
    option = ""
    for argument in arguments:
        if option and not argument.startswith("-"):
            redacted.append(_redact_option_value(option, argument))
        else:
            redacted.append(redact_text(argument))
        option = argument if _OPTION.fullmatch(argument) else ""
    return tuple(redacted)


def redact_settings(settings: Mapping[str, object]) -> dict[str, object]:
    """Settings for somebody to read: values under secret names are replaced, at any depth."""
    return {
        name: MASK if is_secret_name(name) and value else _redact_value(value)
        for name, value in settings.items()
    }


def _redact_value(value: object) -> object:
    if isinstance(value, Mapping):
        return redact_settings(value)
    if isinstance(value, (list, tuple)):
        return [_redact_value(item) for item in value]
    return redact_text(value) if isinstance(value, str) else value


def _redact_assignments(text: str) -> str:
    shown, position = [], 0
    for named in _ASSIGNMENT.finditer(text):
        # What is no secret may have one inside: `https://host/?token=x`.
        if named.end() < position or not is_secret_name(named[1]):
            continue
        if value := _VALUE.match(text, named.end()):
            quote = value[0][0] if value[0][0] in "\"'" else ""
            shown.append(f"{text[position : value.start()]}{quote}{MASK}{quote}")
            position = value.end()
    return "".join((*shown, text[position:]))


def _redact_option_value(option: str, argument: str) -> str:
    if is_secret_name(option):
        return MASK
    if option in _LOGIN_OPTIONS and ":" in argument:
        return f"{argument.partition(':')[0]}:{MASK}"
    return redact_text(argument)
