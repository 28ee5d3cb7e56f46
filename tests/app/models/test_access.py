"""Who asks the hub: a token in the keychain, or for the session where there is none, and where it goes."""

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail
from keyring.errors import PasswordDeleteError

from app.models import access
from mlx_model.errors import RequestError

TOKEN = "hf_" + "a" * 34


class Keychain(KeyringBackend):
    priority = 1

    def __init__(self):
        super().__init__()
        self.kept = {}

    def get_password(self, service, username):
        return self.kept.get((service, username))

    def set_password(self, service, username, password):
        self.kept[service, username] = password

    def delete_password(self, service, username):
        if (service, username) not in self.kept:
            raise PasswordDeleteError("there is none")
        del self.kept[service, username]


@pytest.fixture
def keychain(monkeypatch):
    """A function that puts a keychain, or none, in the place of the system's."""
    before = keyring.get_keyring()
    monkeypatch.setattr(access, "_session", {"token": ""})
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield lambda made: keyring.set_keyring(made)
    keyring.set_keyring(before)


def test_a_token_is_kept_in_the_keychain_and_forgotten_again(keychain, monkeypatch):
    made = Keychain()
    keychain(made)
    assert access.find_token() == ""
    assert access.keep_token(f" {TOKEN}\n")
    monkeypatch.setattr(access, "_session", {"token": ""})  # the next start
    assert access.find_token() == TOKEN
    access.forget_token()
    assert (access.find_token(), made.kept) == ("", {})
    access.forget_token()


def test_a_keychain_that_does_not_let_go_is_told(keychain, monkeypatch):
    made = Keychain()
    keychain(made)
    access.keep_token(TOKEN)

    def refuse(*_):
        raise PasswordDeleteError("locked")

    with monkeypatch.context() as harmed:
        harmed.setattr(made, "delete_password", refuse)
        assert access.forget_token() is False
    assert access.forget_token() is True


def test_without_a_keychain_it_lasts_as_long_as_the_program(keychain):
    keychain(fail.Keyring())
    assert access.keep_token(TOKEN) is False
    assert access.find_token() == TOKEN
    access.forget_token()
    assert access.find_token() == ""


@pytest.mark.parametrize("token", ["", "hf_", "secret", "hf_ü" + "a" * 30, f"{TOKEN}\nX-Other: 1", "hf_" + "a" * 999])
def test_what_is_no_token_is_kept_nowhere_and_not_repeated(keychain, token):
    made = Keychain()
    keychain(made)
    with pytest.raises(RequestError) as error:
        access.keep_token(token)
    assert (made.kept, access.find_token()) == ({}, "")
    assert token not in str(error.value) or len(token) < 4


def test_a_process_that_downloads_gets_it_unless_one_is_set_already(keychain, monkeypatch):
    keychain(fail.Keyring())
    assert access.add_token({"A": "1"}) == {"A": "1"}
    access.keep_token(TOKEN)
    assert access.add_token({"A": "1"}) == {"A": "1", "HF_TOKEN": TOKEN}
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert "HF_TOKEN" not in access.add_token({})
