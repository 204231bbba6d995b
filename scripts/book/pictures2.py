# SPDX-License-Identifier: MIT
"""Pictures of single ideas: what runs when, who waits for whom. See pictures.py."""
from svg import Picture


def ticks(picture, y, labels, left, step):
    for number, label in enumerate(labels):
        x = left + number * step
        picture.line([(x, 24), (x, y - 16)], "stroke thin")
        picture.lines(x + 3, y, label.split("\n"), "tiny", step=13)


def spans(picture, y, left, step, blocks):
    """Blocks (from, to, text, kind) on one row, in steps."""
    for begin, end, text, kind in blocks:
        picture.box(left + begin * step + 1, y, (end - begin) * step - 2, 30, kind)
        picture.text(left + (begin + end) / 2 * step, y + 20, text, "tiny", "middle")


def rtlock_wait(alt):
    """One waiter, from the setting of its state to schedule()."""
    picture, left, step = Picture(alt, 270), 130, 100
    for row, name in enumerate(("runs", "__state", "saved_state")):
        picture.text(left - 10, 60 + 50 * row, name, "mono", "end")
    spans(picture, 40, left, step, [(0, 2, "waiter", "good"), (2, 3, "others", "plain"),
                                    (3, 4, "holder", "warm"), (4, 6, "waiter", "good")])
    spans(picture, 90, left, step, [(0, 1, "RUNNING", "plain"), (1, 2, "INTERRUPTIBLE", "cool"),
                                    (2, 4, "RTLOCK_WAIT", "bad"), (4, 6, "RUNNING", "plain")])
    spans(picture, 140, left, step, [(0, 2, "", "empty"), (2, 3, "INTERRUPTIBLE", "cool"),
                                     (3, 4, "RUNNING", "plain"), (4, 6, "", "empty")])
    ticks(picture, 210, ["", "set_current_\nstate()", "spin_lock()\nfinds it\ntaken",
                         "the awaited\nevent: a\nwake-up", "unlock: the\nlock's own\nwake-up",
                         "schedule()\ndoes not\nsleep"], left, step)
    return picture


def inversion(alt):
    """The same three tasks without and with inheritance."""
    picture, left, step = Picture(alt, 330), 130, 100
    for top, title, rows in (
            (20, "without inheritance", [
                [(2, 2.4, "", "cool"), (5, 6, "runs", "cool")],
                [(2.4, 4.4, "runs as long as it likes", "warm")],
                [(0, 2, "holds the lock", "good"), (4.4, 5, "unlocks", "good")]]),
            (180, "with inheritance", [
                [(2, 2.4, "", "cool"), (3, 4, "runs", "cool")],
                [(4, 6, "runs as long as it likes", "warm")],
                [(0, 2, "holds the lock", "good"), (2.4, 3, "boosted", "bad")]])):
        picture.text(20, top, title, "strong")
        for row, (name, blocks) in enumerate(zip(("high", "middle", "low"), rows)):
            picture.text(left - 10, top + 34 + 40 * row, name, "", "end")
            picture.line([(left, top + 45 + 40 * row), (740, top + 45 + 40 * row)], "stroke thin")
            spans(picture, top + 14 + 40 * row, left, step, blocks)
        picture.text(left + 2.45 * step, top + 34, "waits", "small")
    return picture


def chain(alt):
    """A waits for B's lock, B for C's: who stands where."""
    picture = Picture(alt, 210)
    for x, name, own, now, kind in ((20, "A", 49, 49, "cool"), (290, "B", 79, 49, "plain"),
                                    (560, "C", 120, 49, "good")):
        picture.labelled(x, 40, 190, 60, [f"task {name}", f"normal_prio {own}, prio {now}"], kind)
    for x, lock in ((210, "L1"), (480, "L2")):
        picture.arrow([(x, 70), (x + 78, 70)], "stroke hot")
        picture.text(x + 36, 60, lock, "strong", "middle")
        picture.text(x + 36, 88, "waits for", "tiny", "middle")
    picture.lines(20, 140, ["B->pi_waiters has A, L1's top waiter: B runs at 49.",
                            "So B moves up in L2's tree. It is L2's top waiter, and stands in "
                            "C->pi_waiters: C runs at 49.",
                            "C waits for nothing: the walk ends here."], "small", step=22)
    return picture


def crossing(alt):
    """What a child has of its parent's FPU state."""
    picture = Picture(alt, 320)
    picture.text(120, 24, "parent", "strong", "middle")
    picture.text(640, 24, "child", "strong", "middle")
    rows = [("the CPU's registers", "__fpstate (default size)", "save", "good",
             "XSAVE, the child's mask"),
            ("its image in memory", "", "no", "warm", "may be old, larger, laid out otherwise"),
            ("a large buffer, an open gate", "", "no", "warm",
             "the child faults, and gets its own"),
            ("perm, of the group leader", "perm, its own record", "perm", "cool", "under siglock"),
            ("PASID", "bit cleared in XSTATE_BV", "no", "bad", "names an address space"),
            ("TIF_NEED_FPU_LOAD, last_cpu", "flag set, last_cpu -1", "set", "plain",
             "load before ring 3")]
    for row, (source, target, how, kind, why) in enumerate(rows):
        y = 36 + 46 * row
        picture.labelled(10, y, 220, 34, source, kind)
        if target:
            picture.labelled(530, y, 220, 34, target, kind if how != "no" else "plain")
        if how in ("save", "perm"):
            picture.arrow([(232, y + 17), (528, y + 17)])
        elif how == "no":
            picture.line([(232, y + 17), (290, y + 17)], "stroke dashed")
            picture.line([(284, y + 11), (296, y + 23)], "stroke hot")
            picture.line([(284, y + 23), (296, y + 11)], "stroke hot")
        if how == "no":
            picture.text(306, y + 21, why, "small")
        else:
            picture.text(380, y + 11, why, "small", "middle")
    return picture


def first_use(alt):
    """From the faulting instruction and back."""
    picture = Picture(alt, 290)
    steps = [(["ring 3: an instruction of the group"], "plain"),
             (["the gate: #UD (XCR0) or #NM (XFD)"], "warm"),
             (["siglock: read the permission"], "cool"),
             (["no lock: allocate the larger buffer"], "plain"),
             (["fpregs_lock: load the registers,", "swap the buffers, open the gate"], "good"),
             (["ring 3: the instruction again"], "plain")]
    for number, (texts, kind) in enumerate(steps):
        column, row = number % 2, number // 2
        x, y = (24, 410)[column], 20 + 76 * row
        picture.labelled(x, y, 330, 50, texts, kind)
        picture.text(x - 6, y + 12, number + 1, "tiny", "end")
        if column:
            picture.arrow([(354, y + 25), (408, y + 25)])
        elif number:
            picture.arrow([(575, y - 26), (575, y - 13), (189, y - 13), (189, y - 1)])
    picture.lines(24, 256, ["Without permission: SIGILL after step 3. Without memory: SIGSEGV "
                            "after step 4.", "Neither lock is taken while the other is held, and "
                            "nothing is allocated under either."], "small", step=20)
    return picture
