"""Quotes are looked for in the inputs: what is forgiven, what is not, and what is told of it."""

import pytest

from drawn import whole
from stretto import Input
from stretto.references import References
from stretto.references.evidence import Evidence, is_evidence
from stretto.types import Citation

TEXT = """# Notes

The  quick\u00a0“brown” fox
\tjumps — over the lazy dog’s bed.
It costs 5 EUR... a day; it’s
so.

The quick "brown" fox again, on line 8.
Ein „langes“ Wort: Donaudampfschifffahrt.
敏捷的棕色狐狸跳过了懒狗。
"""
NOTES = Evidence(Input("notes.md", TEXT))


def cited(text: str, *inputs: Input) -> tuple[list[Citation], tuple[str, ...]]:
    reader = References(("t1",), inputs or (Input("notes.md", TEXT),))
    reader.feed(text)
    reader.end()
    return list(reader.citations), reader.remarks


@pytest.mark.parametrize(
    ("quote", "lines", "words"),
    [
        ('The quick "brown" fox', (3, 3), "The  quick\u00a0“brown” fox"),
        ("the quick «brown» fox jumps - over", (3, 4), "The  quick\u00a0“brown” fox\n\tjumps — over"),
        ("Jumps – over the lazy dog's bed", (4, 4), "jumps — over the lazy dog’s bed"),
        ("fox again, on line 8", (8, 8), "fox again, on line 8"),
        ("It costs 5 EUR... a day", (5, 5), "It costs 5 EUR... a day"),
        ("it costs 5 … it's so", (5, 6), "It costs 5 … it’s\nso"),
        ("it costs 5 [...] again, on line 8.", (5, 8), "It costs 5 … again, on line 8."),
        ("…a day; it's so…", (5, 6), "a day; it’s\nso"),
        ('Ein "langes" Wort', (9, 9), "Ein „langes“ Wort"),
        ("敏捷的棕色狐狸", (10, 10), "敏捷的棕色狐狸"),
        ("# Notes The quick", (1, 3), "# Notes\n\nThe  quick"),
    ],
)
def test_blanks_marks_dashes_the_first_letter_and_ellipses_are_forgiven(
    quote: str, lines: tuple[int, int], words: str
) -> None:
    found = NOTES.find(quote)
    assert found is not None
    assert (found.lines, found.words) == (lines, words)


@pytest.mark.parametrize(
    "quote",
    [
        "the quick Brown fox",
        "the quick brown fox",
        "quick “brown” foxes",
        "again, on line 8. Ein langes",
        "line 8 … The quick",
        "the fast “brown” fox",
        "It costs 6 EUR",
        "lazy dog’s bed;",
        "nowhere … at all",
    ],
)
def test_nothing_else_is_forgiven(quote: str) -> None:
    assert NOTES.find(quote) is None


def test_of_several_places_the_first_counts_or_the_one_in_the_lines_named() -> None:
    quote = 'quick "brown" fox'
    assert [NOTES.find(quote, near) and NOTES.find(quote, near).lines for near in (None, (7, 9), (9, 9))] == [  # type: ignore[union-attr,]
        (3, 3),
        (8, 8),
        (3, 3),
    ]


@pytest.mark.parametrize(
    ("quote", "enough"), [("", False), ("a b c d.", False), ("12345678", True), ("棕色狐狸", True)]
)
def test_a_few_letters_are_no_evidence(quote: str, enough: bool) -> None:
    assert is_evidence(quote) == enough


def test_a_quote_that_is_there_is_verified_and_told_as_it_stands_there() -> None:
    (one,), remarks = cited('So it is [^i1 "the quick "brown" fox jumps"].')
    assert (one.name, one.source, one.lines, one.verified) == ("notes.md", "i1", (3, 4), True)
    assert one.quote == "The  quick\u00a0“brown” fox\n\tjumps"
    assert remarks == ()


def test_a_quote_that_is_not_there_is_told_as_it_was_written() -> None:
    (one,), remarks = cited('So it is [^i1 "the slow \\"brown\\" fox"].')
    assert (one.quote, one.lines, one.verified) == ('the slow "brown" fox', None, False)
    assert remarks == ('notes.md (i1) does not have these words: "the slow "brown" fox"',)


def test_lines_are_there_or_not() -> None:
    there, remarks = cited("A [^i1:3-4]. B [^i1:L8]. C [^i1, lines 9–8].")
    assert [(one.lines, one.verified) for one in there] == [((3, 4), None), ((8, 8), None), ((8, 9), None)]
    assert remarks == ()
    (one,), remarks = cited("A [^i1:9-12].")
    assert (one.lines, one.verified) == ((9, 12), False)
    assert remarks == ("notes.md (i1) has 10 lines, and no 9-12",)


def test_several_quotes_and_lines_of_one_reference_are_citations_of_their_own() -> None:
    many, _ = cited(
        'A [^i1:3-4, 8, t1]. B [^i1 "jumps — over", "again, on line 8", t1]. C [^i1:8 "quick “brown” fox"].'
    )
    assert [(one.source, one.lines) for one in many] == [
        ("i1", (3, 4)),
        ("i1", (8, 8)),
        ("t1", None),
        ("i1", (4, 4)),
        ("i1", (8, 8)),
        ("t1", None),
        ("i1", (8, 8)),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "It says “jumps - over the lazy dog's bed” [^i1].",
        'It says "jumps — over the lazy dog’s bed." [^i1]',
        'The "bed": "jumps — over the lazy dog’s bed".[^i1]',
        "Es heißt „jumps — over the lazy dog’s bed“ [^i1].",
    ],
)
def test_a_quotation_right_before_a_bare_reference_is_looked_for(text: str) -> None:
    (one,), remarks = cited(text)
    assert (one.lines, one.verified, remarks) == ((4, 4), True, ())


def test_a_quotation_of_several_sentences_is_all_of_the_passage() -> None:
    reader = References((), [Input("a", "It is big. It is old. It is red.")])
    text = reader.feed('One. He says: "It is big. It is old." [^i1] Two.') + reader.end()
    (one,) = reader.citations
    assert text[one.start : one.end] == 'He says: "It is big. It is old."'
    assert one.verified


def test_a_quotation_before_two_inputs_is_from_one_of_them() -> None:
    both, remarks = cited('A "first words here" [^i1][^i2].', Input("a", "other"), Input("b", "the first words here"))
    assert [(one.source, one.verified) for one in both] == [("i1", None), ("i2", True)]
    assert remarks == ()
    _, remarks = cited('A "third words here" [^i1][^i2].', Input("a", "other"), Input("b", "the first words here"))
    assert len(remarks) == 2


def test_a_bare_reference_far_from_a_quotation_is_only_a_reference() -> None:
    for text in ('It says "what nobody wrote" and more [^i1].', 'The "big" [^i1].', "Plain [^i1]."):
        (one,), remarks = cited(text)
        assert (one.verified, one.quote, remarks) == (None, "", ())


def test_of_an_image_nothing_can_be_looked_for() -> None:
    image = Input("a.png", media="image/png", data="aGk=")
    both, remarks = cited('A [^i1 "words in a picture"]. B [^i1:3].', image)
    assert [(one.name, one.verified, one.lines) for one in both] == [("a.png", None, None)] * 2
    assert remarks == ()


@pytest.mark.slow
def test_three_hundred_quotes_in_a_large_input_are_looked_for_in_seconds() -> None:
    apart = whole(700, 175)  # lines from one to the next
    lines = [f"line {number} has the words {number * 7919} and nothing else" for number in range(apart * 2000 // 7)]
    answer = "".join(f'A [^i1 "the words {number * apart * 7919} and nothing"]. ' for number in range(300))
    found, remarks = cited(answer, Input("big", "\n".join(lines)))
    assert [one.lines for one in found[:3]] == [(line, line) for line in (1, apart + 1, 2 * apart + 1)]
    assert len([one for one in found if one.verified]) == 286
    assert len(remarks) == 14


def test_a_line_without_end_is_searched_too() -> None:
    (one,), _ = cited('A [^i1 "words 70000 and"].', Input("min.js", " ".join(f"words {n} and" for n in range(100_000))))
    assert (one.lines, one.quote, one.verified) == ((1, 1), "words 70000 and", True)


MARKED = Input(
    "docs/a guide.md",
    """Call `shut_down()` **before** the *last* handle closes.
Use 2 * 3 = 6, not 2*3; ~~never~~ `a_b`.
__All__ of it "as it is", _he said_.
""",
)


@pytest.mark.parametrize(
    ("quote", "lines", "words"),
    [
        ("Call shut_down() before the last handle", (1, 1), "Call `shut_down()` **before** the *last* handle"),
        ("call **shut_down()** before the `last`", (1, 1), "Call `shut_down()` **before** the *last"),
        ("handle closes. Use 2 * 3 = 6", (1, 2), "handle closes.\nUse 2 * 3 = 6"),
        ("not 2*3; never a_b. All of it", (2, 3), "not 2*3; ~~never~~ `a_b`.\n__All__ of it"),
        ("All of it 'as it is', he said", (3, 3), 'All__ of it "as it is", _he said'),
        ("All of it … he said", (3, 3), "All__ of it … he said"),
    ],
)
def test_backticks_and_emphasis_may_be_there_or_not(quote: str, lines: tuple[int, int], words: str) -> None:
    found = Evidence(MARKED).find(quote)
    assert found is not None
    assert (found.lines, found.words) == (lines, words)
    assert Evidence(MARKED).find(quote, lines) == found


@pytest.mark.parametrize("quote", ["Use 2 3 = 6, not", "Call shutdown() before", "before last handle closes"])
def test_what_is_no_emphasis_is_not_forgiven(quote: str) -> None:
    assert Evidence(MARKED).find(quote) is None


@pytest.mark.parametrize(
    "mark",
    [
        'notes.md "It costs 5 EUR"',
        'Notes.md:5 "It costs 5 EUR"',
        'docs/a guide.md: "the *last* handle"',
        'a guide.md:1-2, "the last handle"',
        'docs/a guide.md "the last handle", t1',
        "notes.md",
        "notes.md, t1",
        'https://example.org/page "It is a page"',
    ],
)
def test_an_input_may_be_called_by_its_name(mark: str) -> None:
    inputs = Input("notes.md", TEXT), MARKED, Input("https://example.org/page", "It is a page.")
    citations, remarks = cited(f"It is said so. [^{mark}]", *inputs)
    assert not remarks
    assert (
        citations[0]
        .name.casefold()
        .endswith(
            mark.split('"', maxsplit=1)[0]
            .split(",", maxsplit=1)[0]
            .split(":1", maxsplit=1)[0]
            .split(":5", maxsplit=1)[0]
            .strip(" :")
            .casefold()
        )
    )
    assert citations[0].verified is (True if '"' in mark else None)
    assert [each.source for each in citations[1:]] == (["t1"] if "t1" in mark else [])


@pytest.mark.parametrize("label", ["note", "notes", "README", "x.md"])
def test_a_name_that_may_be_a_footnote_or_belongs_to_two_means_none(label: str) -> None:
    inputs = Input("note", TEXT), Input("a/x.md", TEXT), Input("b/x.md", TEXT), Input("README", TEXT)
    reader = References((), inputs)
    assert reader.feed(f"It is so. [^{label}] And on.") + reader.end() == f"It is so. [^{label}] And on."
    assert [each.source for each in cited("So. [^a/x.md]", *inputs)[0]] == ["i2"]
