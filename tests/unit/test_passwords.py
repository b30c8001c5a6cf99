from pathlib import Path

import pytest

from resources.passwords import PasswordsError, read_passwords


def test_one_password_a_line_in_order_once(tmp_path: Path) -> None:
    (tmp_path / "mail.txt").write_bytes("\ufeffeins\r\n two \n\n#3\neins\n".encode())
    assert read_passwords(tmp_path, "mail") == ("eins", " two ", "#3")
    assert read_passwords(tmp_path, "other") == ()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"x\n" * 600_000])
def test_what_cannot_be_used_is_said_without_quoting_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "mail.txt").write_bytes(content)
    with pytest.raises(PasswordsError, match=r"mail\.txt") as raised:
        read_passwords(tmp_path, "mail")
    assert raised.value.__cause__ is None and "\\x" not in str(raised.value)


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "mail.txt").mkdir()
    with pytest.raises(PasswordsError, match="remove it"):
        read_passwords(tmp_path, "mail")
