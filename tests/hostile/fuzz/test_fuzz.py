"""Each reader on what was found before, and on the same few harmed files every time; longer by `__main__`."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile.fuzz.harm import harmed, list_corpus, read
from tests.hostile.fuzz.targets import TARGETS

pytestmark = pytest.mark.sweep

CASES = 10


@pytest.mark.filterwarnings("ignore")  # of decoders
@pytest.mark.parametrize("name", TARGETS)
def test_whole_files_are_read(name):
    for data in TARGETS[name].seeds:
        read(name, data)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TARGETS)
def test_findings(name):
    for data in list_corpus(name):
        read(name, data)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TARGETS)
def test_harmed_files(name):
    @settings(max_examples=CASES, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def check(drawn):
        read(name, drawn.draw(harmed(TARGETS[name])))

    check()
