# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The vswitchd authors
"""The instruments of this suite notice what they are there for: each is shown something wrong."""

from faults import Failed, Footprint, Guests, memory, nothing_lost, one_line, vhost
from harness import start_switch
from proc import check, equal, wait_for
from runner import main
from vhostuser import FrontEnd


def ports(case, names):
    return [o for i, n in enumerate(names) for o in vhost(case.path(f"{n}.sock"), i)]


def sockets(case, names):
    return [case.path(f"{n}.sock") for n in names]


def fails(what, function, *args):
    try:
        function(*args)
    except Failed as failed:
        return str(failed)
    raise Failed(f"{what} was not noticed")


def frames_that_are_lost(case):
    """A receiver that takes fewer than are sent: the switch drops the rest."""
    switch = start_switch(case, ports(case, "ab"), eal=memory())
    guests = Guests(case, sockets(case, "ab"), "--flow", "0:1:0:0", "--drain", "1:2000").begin()
    switch.wait_up("a", "b")
    guests.moves(300)
    text = fails("loss", nothing_lost, guests.settle())
    check("'lost'" in text or "missing" in text, text)
    check(sum(switch.counters()["b"]["tx_drop"].values()) > 0, "the switch says nothing was dropped")


def frames_that_come_twice_or_torn(case):
    """Another sender uses the same addresses and numbers: its frames come between the right ones,
    behind them in number, or with a flow's label and another length."""
    a, b, c, d = sockets(case, "abcd")
    # a port without entries of its own may send under any address
    switch = start_switch(case, [*ports(case, "ab"), *vhost(c), *vhost(d)], eal=memory())
    first = Guests(case, [a, b], "--flow", "0:1:2000").begin()
    switch.wait_up("a", "b")
    first.moves(200)
    # to it, guest 1 is at a socket where nothing arrives: the table has its address at b
    again = Guests(case, [c, d], "--flow", "0:1:500:0").begin()
    switch.wait_up("c", "d")
    first.moves(500)
    again.kill()
    text = fails("a second sender", nothing_lost, first.settle())
    check("'twice'" in text or "'torn'" in text or "'lost'" in text, text)


def what_is_still_in_use(case):
    """A front-end that stays, a port, a table entry."""
    switch = start_switch(case, ports(case, "ab"), eal=memory())
    front = FrontEnd(case.path("a.sock"))
    check(front.handshake(), "no handshake")
    front.close()  # the first one: the library opens what it keeps
    wait_for(lambda: switch.ctl("status")["connections"] == 0, 2, "nobody connected")
    before = Footprint(switch)
    front = FrontEnd(case.path("a.sock"))
    check(front.handshake(), "no handshake")
    fails("a connection", before.check, switch, "now")
    front.close()
    before.check(switch, "after it left")
    for add, delete in ((("port.add", {"vhost": case.path("n.sock")}), ("port.del", {"name": "n"})),
                        (("mac.add", {"mac": "06:00:00:00:00:01", "port": "a"}),
                         ("mac.del", {"mac": "06:00:00:00:00:01"}))):
        switch.ctl(add[0], **add[1])
        fails(add[0], before.check, switch, "now")
        switch.ctl(delete[0], **delete[1])
        before.check(switch, f"after {delete[0]}")
    before.rss -= 2048
    fails("2 MiB more", before.check, switch, "now")


def an_error_without_a_remedy(_case):
    fails("no remedy", one_line, "port x: it is broken")
    fails("nothing", one_line, "\n")
    equal(one_line("port x: it is broken; mend it", "x"), "port x: it is broken; mend it", "a line")


if __name__ == "__main__":
    main(frames_that_are_lost, frames_that_come_twice_or_torn, what_is_still_in_use,
         an_error_without_a_remedy)
