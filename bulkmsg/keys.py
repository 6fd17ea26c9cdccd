"""The one door to the operating system's keyring, for API keys; the library is an extra and loaded only when asked."""

from __future__ import annotations

from contextlib import suppress

from bulkmsg.errors import Refused

SERVICE = "bulkmsg"
_INSTALL = "pip install 'bulkmsg[keyring]' adds it; or keep the key in a file that GORGIAS_API_KEY_FILE names"


def kept_key(account: str) -> str:
    """The account's API key from the keyring; empty where there is no keyring, or none in it.

    Raises:
        Refused: there is a keyring, and it does not open.
    """
    try:
        import keyring
        from keyring.errors import KeyringError, NoKeyringError
    except ImportError:
        return ""
    try:
        return keyring.get_password(SERVICE, account) or ""
    except NoKeyringError:
        return ""
    except (KeyringError, OSError, RuntimeError) as error:
        hint = "unlock it, or keep the key in a file that GORGIAS_API_KEY_FILE names"
        raise Refused(f"the keyring does not open ({type(error).__name__})", hint) from None


def keep_key(account: str, key: str) -> str:
    """Put the account's API key into the keyring; returns what the keyring calls itself.

    Raises:
        Refused: there is none, or it does not take the key.
    """
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise Refused("the extra for the system's keyring is not installed", _INSTALL) from None
    try:
        keyring.set_password(SERVICE, account, key)
    except (KeyringError, OSError, RuntimeError) as error:
        hint = "keep the key in a file that GORGIAS_API_KEY_FILE names"
        raise Refused(f"the keyring does not take the key ({type(error).__name__})", hint) from None
    with suppress(Exception):
        return str(keyring.get_keyring().name)
    return "the keyring"
