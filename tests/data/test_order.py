import itertools

from echossl.data.order import natural_key, shuffled


def test_trap_10_natural_order():
    names = ["image_10.jpg", "image_5.jpg", "image_1.jpg", "Image_2.jpg", "b/1.avi", "b/12.avi", "b/2.avi"]
    expected = [
        *names[4:5],
        "b/2.avi",
        "b/12.avi",
        "image_1.jpg",
        "Image_2.jpg",
        "image_5.jpg",
        "image_10.jpg",
    ]
    for order in itertools.islice(itertools.permutations(names), 0, 5040, 97):
        assert sorted(order, key=natural_key) == expected


def test_natural_order_is_total():
    names = ["a1", "a01", "A1", "", "1", "01"]
    orders = {tuple(sorted(order, key=natural_key)) for order in itertools.permutations(names)}
    assert len(orders) == 1


def test_shuffled_depends_on_names_and_key_alone():
    names = [f"p{number}" for number in range(50)]
    order = shuffled(names, "labels", 3)
    assert sorted(order) == sorted(names)
    assert shuffled(reversed(names), "labels", 3) == order
    assert shuffled(names, "labels", 4) != order
    assert shuffled(names, "validation", 3) != order


def test_a_name_that_leaves_does_not_move_the_others():
    names = [f"p{number}" for number in range(50)]
    order = shuffled(names, 0)
    without = [name for name in order if name != "p7"]
    assert shuffled([name for name in names if name != "p7"], 0) == without


def test_every_place_is_equally_likely():
    names = ["a", "b", "c"]
    firsts = [shuffled(names, seed)[0] for seed in range(3000)]
    # three standard deviations of a binomial with p = 1/3
    assert all(abs(firsts.count(name) - 1000) < 78 for name in names)
