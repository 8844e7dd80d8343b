"""Domains: documents of each, the same in every run, sums that are right."""

import re

import pytest

from course_lib.text.domains import DOMAINS, domain_documents
from course_lib.text.stories import read_trace


@pytest.mark.parametrize("domain", DOMAINS)
def test_documents_depend_on_domain_and_seed_alone(domain):
    documents = domain_documents(domain, 5, seed=2)
    assert domain_documents(domain, 7, seed=2)[:5] == documents
    assert domain_documents(domain, 5, seed=3) != documents
    assert all(documents)


def test_stories_are_stories_of_their_language():
    for domain, language in (("english", "en"), ("russian", "ru")):
        assert all(read_trace(text, language) for text in domain_documents(domain, 10))


def test_sums_are_right():
    for text in domain_documents("sums", 10):
        sums = re.findall(r"(\d+) \+ (\d+) = (\d+)\.", text)
        assert len(sums) == 8
        assert all(int(a) + int(b) == int(total) for a, b, total in sums)


def test_an_unknown_domain_is_named():
    with pytest.raises(ValueError, match="domain='poems' must be one of english"):
        domain_documents("poems", 1)
