from builders import ORIGIN, pose, result
from edge.commands.terminal.braille import columns_within, draw_people
from edge.payload import PersonPose, pose_message


def people(*xs: float) -> list[PersonPose]:
    message = pose_message(result(*(pose(x=x, track_id=at) for at, x in enumerate(xs))), ORIGIN, 100.0)
    return message.poses


def inked(lines: list[str]) -> list[tuple[int, int]]:
    return [(row, column) for row, line in enumerate(lines) for column, cell in enumerate(line) if cell != "\u2800"]


def test_a_drawing_has_the_aspect_of_the_image() -> None:
    lines = draw_people(people(0.3), columns=64, size=(1280, 720))
    assert len(lines) == 18
    assert {len(line) for line in lines} == {64}


def test_people_stand_where_they_are() -> None:
    """The builder's person takes 0.3..0.45 of the width and 0.2..0.8 of the height."""
    cells = inked(draw_people(people(0.3), columns=100, size=(16, 9)))
    columns, rows = {column for _, column in cells}, {row for row, _ in cells}
    assert min(columns) >= 30
    assert max(columns) <= 45
    assert min(rows) >= 0.2 * 28 - 1
    assert max(rows) <= 0.8 * 28 + 1


def test_no_people_are_an_empty_drawing_and_people_outside_do_no_harm() -> None:
    assert inked(draw_people([], columns=40)) == []
    assert inked(draw_people(people(-3.0), columns=40)) == []


def test_a_low_score_leaves_a_limb_out() -> None:
    poses = people(0.3)
    poses[0].keypoints = [(x, y, 0.1) for x, y, _ in poses[0].keypoints]
    assert inked(draw_people(poses, columns=40)) == []


def test_colours_are_reset_on_every_line() -> None:
    for line in draw_people(people(0.1, 0.6), columns=40, colour=True):
        assert line.endswith("\x1b[0m")


def test_a_drawing_fits_into_the_room_that_there_is() -> None:
    for size in ((1280, 720), (720, 1280), (1, 10**9), (10**9, 1)):
        for columns, rows in ((80, 20), (20, 20), (5, 3), (1, 1)):
            found = columns_within(size, columns=columns, rows=rows)
            assert found <= columns
            assert found == 0 or len(draw_people([], columns=found, size=size)) <= rows
    assert columns_within((1280, 720), columns=80, rows=18) == 65
    assert columns_within((1280, 720), columns=80, rows=0) == 0


def test_a_keypoint_far_outside_takes_its_limbs_along_and_nothing_else() -> None:
    poses = people(0.3)
    whole = inked(draw_people(poses, columns=60))
    poses[0].keypoints[9] = (1e300, 0.5, 0.9)
    assert set(inked(draw_people(poses, columns=60))) < set(whole)


def test_a_limb_that_leaves_the_image_to_the_left_or_top_leaves_no_ink_at_its_border() -> None:
    poses = people(0.3)
    poses[0].keypoints = [(-0.004, y, score) for _, y, score in poses[0].keypoints]
    assert inked(draw_people(poses, columns=60)) == []
