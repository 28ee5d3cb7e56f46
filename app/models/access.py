"""Who asks the hub: its token, in the system's keychain, and where there is none for as long as the program runs."""

import contextlib
import os
import re

from mlx_model.errors import RequestError

SERVICE, ACCOUNT = "Flux Local", "Hugging Face"
FORM = re.compile(r"hf_[A-Za-z0-9]{10,200}")
PAGE = "https://huggingface.co/settings/tokens"
_session = {"token": ""}


def find_token() -> str:
    """What was logged in with here; "" for nothing. What else is on this computer (HF_TOKEN, hf auth login) is not."""
    return _session["token"] or _ask_keychain()


def keep_token(token: str) -> bool:
    """Log in; whether the keychain has it, else it is forgotten when the program ends. Raises RequestError."""
    token = token.strip()
    if not FORM.fullmatch(token):
        raise RequestError("This is no token of Hugging Face: they begin with hf_.", f"Make one on {PAGE}.")
    _session["token"] = token
    import keyring
    from keyring.errors import KeyringError

    with contextlib.suppress(KeyringError, OSError, RuntimeError):
        keyring.set_password(SERVICE, ACCOUNT, token)
        return keyring.get_password(SERVICE, ACCOUNT) == token
    return False


def forget_token() -> bool:
    """Log out, here and in the keychain; whether that let go of it."""
    import keyring
    from keyring.errors import KeyringError

    _session["token"] = ""
    with contextlib.suppress(KeyringError, OSError, RuntimeError):
        keyring.delete_password(SERVICE, ACCOUNT)
    return not _ask_keychain()


def add_token(environment: dict[str, str]) -> dict[str, str]:
    """The environment of a process that downloads; a token that the person has set there already stays."""
    token = "" if os.environ.get("HF_TOKEN") else find_token()
    return {**environment, "HF_TOKEN": token} if token else environment


def _ask_keychain() -> str:
    import keyring
    from keyring.errors import KeyringError

    with contextlib.suppress(KeyringError, OSError, RuntimeError):
        return keyring.get_password(SERVICE, ACCOUNT) or ""
    return ""
