"""Words that no one should type, read by every program: options, or one line and status 2."""

from pathlib import Path

import pytest
from command_lines import readers, tried

from mstpn.commands.main import COMMANDS

READERS = readers()


def test_every_program_is_tried() -> None:
    assert READERS.keys() == COMMANDS.keys()


@pytest.mark.parametrize("name", READERS)
def test_strange_words_end_in_one_line_or_in_finite_numbers(name: str, tmp_path: Path) -> None:
    for words, wrong in tried(name, READERS[name], 60, 1, tmp_path):
        assert not wrong, (words, wrong)
