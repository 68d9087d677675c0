"""What one client address may hold."""

import pytest

from api.clients import Shares, client_of


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::/64"),
        ("no address", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_network_of_64_bits_is_one_client(address, client):
    assert client_of(address) == client


def test_no_client_takes_more_than_its_share():
    shares = Shares(total=100, per_client=50)
    assert shares.take("a", 50)
    assert not shares.take("a")
    assert shares.take("b", 30)
    assert not shares.take("c", 21)
    assert shares.take("c", 20)
    assert shares.held == 100


def test_what_is_refused_takes_nothing():
    shares = Shares(total=100, per_client=50)
    assert not shares.take("a", 51)
    assert shares.held == 0
    assert shares.take("a", 50)


def test_what_is_given_back_can_be_taken_again():
    shares = Shares(total=2, per_client=1)
    for _ in range(3):
        assert shares.take("a")
        shares.give_back("a")
    assert shares.held == 0


def test_more_than_was_taken_cannot_be_given_back():
    shares = Shares(total=10, per_client=5)
    shares.take("a", 2)
    with pytest.raises(ValueError, match="a gives back 3 of 2"):
        shares.give_back("a", 3)
    assert shares.held == 2


def test_clients_that_hold_nothing_are_forgotten():
    shares = Shares(total=1, per_client=1)
    shares.take("first")
    for number in range(100):
        shares.take(f"refused {number}")
    assert list(shares._held) == ["first"]
    shares.give_back("first")
    assert not shares._held
