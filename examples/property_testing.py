"""Property tests for your own code that uses facesearch: an essay that runs.

    pytest examples/property_testing.py
    python examples/property_testing.py

An example test states "for this photo, that answer". You can't write enough of them: the photos that break an application are
the unexpected ones, with no face, with five, with two users of the same similarity. A property states what holds for
*every* answer, and hypothesis searches for one that violates it. It needs facesearch[testing], but no photo and no model, so the
tests below take seconds.

The application is a door with a screen. It greets the person in front of it by name, and shows nothing rather than a wrong
name. The decision is in one small function that takes a response and returns a user id. Such code, without a camera or a
network in it, is easy to test well.
"""

import attrs
from hypothesis import given, settings, strategies as st

import facesearch as fs
from facesearch.testing.fakes import fake_analyzer, paint
from facesearch.testing.strategies import responses, user_ids, user_matches, values

SURE = 90.0  # the least similarity of a greeted user, percent
LEAD = 5.0  # the least difference to the next user, percentage points

Colour = tuple[int, int, int]


def whom_to_greet(response: fs.SearchUsersByImageResponse, *, sure: float = SURE) -> str | None:
    """Return the user to greet, or None to show nothing."""
    if not response.user_matches:
        return None
    best, *others = response.user_matches  # best first: facesearch guarantees the order
    if best.similarity < sure:
        return None
    if others and best.similarity - others[0].similarity < LEAD:
        return None  # twins, or one person enrolled twice: either name could be wrong
    return best.user.user_id


# Draw from the relevant range. `user_matches()` draws similarities from 0 to 100, where two of 90 and more within five percent are
# rare: with it, the tests below would accept a door without the LEAD rule. A search with AWS's threshold returns 80 to 100, so
# the drawn values are mapped to that range. Mapping keeps their order and the way they shrink.


def with_similarity(match: fs.UserMatch, similarity: float) -> fs.UserMatch:
    return attrs.evolve(match, similarity=similarity)


contested = user_matches().map(
    lambda matches: tuple(with_similarity(match, 80 + match.similarity / 5) for match in matches)
)
answers = st.builds(fs.SearchUsersByImageResponse, user_matches=contested)


@given(answers)
def test_only_people_who_were_found_are_greeted(response: fs.SearchUsersByImageResponse) -> None:
    """Safety: a greeted user is one of the matches, and clearly the best."""
    greeted = whom_to_greet(response)
    scores = {match.user.user_id: match.similarity for match in response.user_matches}
    if greeted is not None:
        own = scores.pop(greeted)
        assert own >= SURE
        assert all(own - score >= LEAD for score in scores.values())


@given(values(fs.MatchedUser), user_matches())
def test_a_clear_winner_is_greeted(winner: fs.MatchedUser, others: tuple[fs.UserMatch, ...]) -> None:
    """Liveness, which is easily forgotten: a door that never greets is perfectly safe."""
    far_off = tuple(with_similarity(match, match.similarity * 0.9) for match in others)
    matches = (fs.UserMatch(similarity=100, user=winner), *far_off)
    assert whom_to_greet(fs.SearchUsersByImageResponse(user_matches=matches)) == winner.user_id


@given(answers, st.floats(80, 100), st.floats(80, 100))
def test_being_stricter_never_greets_somebody_else(
    response: fs.SearchUsersByImageResponse, one: float, other: float
) -> None:
    """Monotonicity: a higher threshold may silence the door; it must not change the greeted user."""
    lax, strict = sorted([one, other])
    assert whom_to_greet(response, sure=strict) in {None, whom_to_greet(response, sure=lax)}


@given(answers)
def test_what_a_search_may_leave_out_changes_nothing(response: fs.SearchUsersByImageResponse) -> None:
    """A metamorphic property: it needs no expected answer, only a change that must not matter.

    It determines the threshold of the door's search. A threshold only cuts the end off the matches, and this function
    reads them down to SURE - LEAD; with a threshold of 90 a twin at 88 would be missed.
    """
    kept = tuple(match for match in response.user_matches if match.similarity >= SURE - LEAD)
    assert whom_to_greet(attrs.evolve(response, user_matches=kept)) == whom_to_greet(response)


# `responses()` draws whole answers: every face, landmark and attribute that AWS documents, present or absent. That is more
# than this function reads, and takes longer; use it where the whole answer is passed on.


@settings(max_examples=25)
@given(responses())
def test_an_answer_from_aws_greets_the_same_person(response: fs.SearchUsersByImageResponse) -> None:
    """The door may use Amazon or facesearch: a conversion to AWS's dict and back keeps the answer."""
    from_the_wire = fs.from_aws(fs.to_aws(response), fs.SearchUsersByImageResponse)
    assert whom_to_greet(from_the_wire) == whom_to_greet(response)


# So far answers were drawn. The last property runs a whole search, from pixels to greeting. Photographs and networks
# would make that slow, and hypothesis can't draw new people. The fakes can: a painted face is a block of colour, and the
# colour is the person. All code between the pixels and the answer is real, except the fake stages.

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
        faces[(200, 20, 260, 80)] = bystander  # smaller, so not the visitor
    names = {colour: name for name, colour in people.items()}
    assert whom_to_greet(fs.search_users_by_image(door, paint((200, 300), faces))) == names.get(visitor)


# Two more rules. Break the function once (drop the LEAD rule, or compare with > in place of >=) and see which property
# fails; if none does, one is missing. And keep every bug that occurred as a plain example beside the property, so that it is
# tested every time and not only when hypothesis happens to draw it.


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
