"""Property tests for your own code that uses facesearch: an essay that runs.

    pytest examples/property_testing.py
    python examples/property_testing.py

An example test says "for this photo, that answer". You can't write enough of them: the photos that break an application are
those nobody thought of, with no face, with five, with two users of the same similarity. A property says what holds for
*every* answer, and hypothesis looks for one that breaks it. It needs facesearch[testing], but no photo and no model, so the
tests below take seconds.

The application is a door with a screen: it greets whoever stands in front of it by name, and would rather say nothing
than call somebody by another's name. All its judgement is in one small function that takes a response and gives an answer.
Code of that kind, without a camera or a network in it, is the code that can be tested well.
"""

import attrs
from hypothesis import given, settings, strategies as st

import facesearch as fs
from facesearch.testing.fakes import fake_analyzer, paint
from facesearch.testing.strategies import responses, user_ids, user_matches, values

SURE = 90.0  # greet nobody below this similarity, percent
LEAD = 5.0  # nor anybody whom the next one comes nearer to than this, percent

Colour = tuple[int, int, int]


def whom_to_greet(response: fs.SearchUsersByImageResponse, *, sure: float = SURE) -> str | None:
    """The user to greet, or None to say nothing."""
    if not response.user_matches:
        return None
    best, *others = response.user_matches  # best first: facesearch promises the order
    if best.similarity < sure:
        return None
    if others and best.similarity - others[0].similarity < LEAD:
        return None  # twins, or one person enrolled twice: either name could be wrong
    return best.user.user_id


# Aim first. `user_matches()` draws similarities anywhere from 0 to 100, where two of 90 and more within five percent are
# rare: with it, the tests below let a door without the LEAD rule pass. A search with AWS's threshold gives 80 to 100, so
# that is where to look. Mapping the drawn values keeps their order and the way they shrink.


def with_similarity(match: fs.UserMatch, similarity: float) -> fs.UserMatch:
    return attrs.evolve(match, similarity=similarity)


contested = user_matches().map(
    lambda matches: tuple(with_similarity(match, 80 + match.similarity / 5) for match in matches)
)
answers = st.builds(fs.SearchUsersByImageResponse, user_matches=contested)


@given(answers)
def test_only_people_who_were_found_are_greeted(response: fs.SearchUsersByImageResponse) -> None:
    """Safety. Nobody is made up, and whoever is greeted is alone at the top."""
    greeted = whom_to_greet(response)
    scores = {match.user.user_id: match.similarity for match in response.user_matches}
    if greeted is not None:
        own = scores.pop(greeted)
        assert own >= SURE
        assert all(own - score >= LEAD for score in scores.values())


@given(values(fs.MatchedUser), user_matches())
def test_a_clear_winner_is_greeted(winner: fs.MatchedUser, others: tuple[fs.UserMatch, ...]) -> None:
    """Liveness, the half that is easily forgotten: a door that never says anything is perfectly safe."""
    far_off = tuple(with_similarity(match, match.similarity * 0.9) for match in others)
    matches = (fs.UserMatch(similarity=100, user=winner), *far_off)
    assert whom_to_greet(fs.SearchUsersByImageResponse(user_matches=matches)) == winner.user_id


@given(answers, st.floats(80, 100), st.floats(80, 100))
def test_being_stricter_never_greets_somebody_else(
    response: fs.SearchUsersByImageResponse, one: float, other: float
) -> None:
    """Monotonicity. A higher bar may silence the door; it must not change its mind about who that is."""
    lax, strict = sorted([one, other])
    assert whom_to_greet(response, sure=strict) in {None, whom_to_greet(response, sure=lax)}


@given(answers)
def test_what_a_search_may_leave_out_changes_nothing(response: fs.SearchUsersByImageResponse) -> None:
    """A metamorphic property: it needs no right answer to compare with, only a change that must not matter.

    It settles which threshold the door may search with. A threshold only cuts the end off the matches, and this function
    looks no further down than SURE - LEAD; with a threshold of 90 a twin at 88 would go unseen.
    """
    kept = tuple(match for match in response.user_matches if match.similarity >= SURE - LEAD)
    assert whom_to_greet(attrs.evolve(response, user_matches=kept)) == whom_to_greet(response)


# `responses()` draws whole answers: every face, landmark and attribute that AWS documents, present or absent. That is more
# than this function looks at, and takes longer; where the whole answer travels it is the right thing.


@settings(max_examples=25)
@given(responses())
def test_an_answer_from_aws_greets_the_same_person(response: fs.SearchUsersByImageResponse) -> None:
    """The door may ask Amazon or facesearch: what goes through AWS's dict comes back as the same answer."""
    from_the_wire = fs.from_aws(fs.to_aws(response), fs.SearchUsersByImageResponse)
    assert whom_to_greet(from_the_wire) == whom_to_greet(response)


# So far answers were drawn. The last property goes through a whole search, from pixels to greeting. Photographs and networks
# would make that slow, and hypothesis can't draw new people. The fakes can: a painted face is a block of colour, and the
# colour is the person. Everything between the pixels and the answer is the real code.

colours = st.tuples(st.integers(1, 250), st.integers(1, 250), st.integers(1, 250))  # neither black nor white


# No deadline: the first search of a process also loads code, and a slow machine is not a broken property.
@settings(deadline=None, max_examples=25)
@given(
    people=st.dictionaries(user_ids(max_size=8), colours, min_size=1, max_size=4).filter(
        lambda people: len(set(people.values())) == len(people)
    ),
    visitor=colours,
    side=st.integers(80, 160),
    bystander=st.none() | colours,
)
def test_whoever_stands_in_front_is_greeted_by_name(
    people: dict[str, Colour], visitor: Colour, side: int, bystander: Colour | None
) -> None:
    door = fs.Collection("door", analyzer=fake_analyzer())
    for name, colour in people.items():
        door.enroll(name, [paint((100, 100), {(10, 10, 90, 90): colour})])

    faces = {(20, 20, 20 + side, 20 + side): visitor}
    if bystander:
        faces[(200, 20, 260, 80)] = bystander  # smaller, so not who is asking to be let in
    names = {colour: name for name, colour in people.items()}
    assert whom_to_greet(fs.search_users_by_image(door, paint((200, 300), faces))) == names.get(visitor)


# Two more habits. Break the function once (drop the LEAD rule, say, or compare with > in place of >=) and see which property
# notices; if none does, one is missing. And pin what once went wrong as a plain example, beside the property, so that it is
# tried every time and not only when hypothesis happens to draw it.


def test_twins_are_not_greeted() -> None:
    twins = tuple(
        fs.UserMatch(similarity=similarity, user=fs.MatchedUser(user_id=user_id, user_status=fs.UserStatus.ACTIVE))
        for user_id, similarity in [("castor", 99.1), ("pollux", 98.7)]
    )
    assert whom_to_greet(fs.SearchUsersByImageResponse(user_matches=twins)) is None


if __name__ == "__main__":
    for name, test in sorted(globals().items()):
        if name.startswith("test_"):
            test()
            print(f"holds: {name.removeprefix('test_').replace('_', ' ')}")
