"""Buffers, pictures and the newest-wins slot: services.ingest.camera.pictures."""

import asyncio
import threading

import pytest
from patience import until

from services.frames.budget import BUDGET_NS
from services.ingest.camera.pictures import BufferPool, Picture, Slot
from services.ingest.core.picture import i420_size
from services.kernel.clock import boottime_ns

SIDE = 64
SIZE = i420_size(SIDE, SIDE)


class Count:
    """Counts calls."""

    def __init__(self):
        self.n = 0

    def __call__(self):
        self.n += 1


def picture(pool, sequence=0, decoded_ns=None):
    """A picture full of 0xA5 in a buffer of the pool."""
    buffer = pool.take()
    buffer[:SIZE] = b"\xa5" * SIZE
    decoded = boottime_ns() if decoded_ns is None else decoded_ns
    return Picture(SIDE, SIDE, sequence, 1, 0, decoded, 1, buffer, pool)


def slot(loop=None, *, expires=True, clock=boottime_ns):
    shed = Count()
    made = Slot(clock, shed, expires=expires)
    made.attach(loop or asyncio.get_running_loop())
    return made, shed


def test_release_overwrites_the_pixels():
    """After release the very memory that held the picture is zeros."""
    pool = BufferPool(SIDE)
    one = picture(pool)
    pixels = one.pixels
    assert bytes(pixels) == b"\xa5" * SIZE
    one.release()
    assert bytes(pixels) == bytes(SIZE)


def test_release_twice_gives_one_buffer_back():
    """Release is idempotent: a second one neither doubles the buffer nor wipes its next picture."""
    pool = BufferPool(SIDE, count=1)
    one = picture(pool)
    one.release()
    two = picture(pool)
    one.release()
    assert bytes(two.pixels) == b"\xa5" * SIZE
    assert pool.take() is None


def test_release_from_many_threads_is_one_release():
    """Threads that release the same picture at once give its buffer back once."""
    pool = BufferPool(SIDE, count=2)
    one = picture(pool)
    gate = threading.Barrier(8)

    def release():
        gate.wait()
        one.release()

    threads = [threading.Thread(target=release) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert [pool.take() is not None for _ in range(3)] == [True, True, False]


def test_pixels_after_release_are_an_error():
    """A released picture gives no view of a buffer that may hold another one."""
    one = picture(BufferPool(SIDE))
    one.release()
    with pytest.raises(ValueError, match="released"):
        _ = one.pixels


def test_repr_shows_no_pixels():
    """A picture in a log line or a traceback shows no byte of itself."""
    assert "memory" not in repr(picture(BufferPool(SIDE)))
    assert "a5" not in repr(picture(BufferPool(SIDE)))


def test_pool_is_preallocated_and_reused():
    """The pool hands out its own few buffers, and None when they are in use."""
    pool = BufferPool(SIDE, count=2)
    first, second = pool.take(), pool.take()
    assert pool.take() is None
    pool.give_back(first, SIZE)
    assert pool.take().obj is first.obj
    pool.give_back(second, SIZE)


def test_wait_idle_sees_the_last_buffer_come_back():
    """It returns False at its limit while a buffer is out, and True as soon as another thread gives it back."""
    pool = BufferPool(SIDE)
    one = picture(pool)
    assert not pool.wait_idle(0.01)
    thread = threading.Thread(target=one.release)
    thread.start()
    assert pool.wait_idle(5)
    thread.join()


async def test_the_newest_picture_wins():
    """An untaken older picture is overwritten and counted; the newer one is taken."""
    made, shed = slot()
    pool = BufferPool(SIDE)
    old, new = picture(pool, 1), picture(pool, 2)
    pixels = old.pixels
    made.put(old)
    made.put(new)
    assert bytes(pixels) == bytes(SIZE)
    assert shed.n == 1
    assert await made.take() is new
    new.release()


async def test_take_waits_for_a_picture_from_a_thread():
    """A waiting take is woken by a put in another thread."""
    made, _ = slot()
    pool = BufferPool(SIDE)
    task = asyncio.create_task(made.take())
    await asyncio.sleep(0)
    thread = threading.Thread(target=lambda: made.put(picture(pool, 7)))
    thread.start()
    got = await asyncio.wait_for(task, 5)
    thread.join()
    assert got.sequence == 7
    got.release()


async def test_a_cancelled_take_loses_nothing():
    """A take that is cancelled after the picture came leaves it for the next one."""
    made, shed = slot()
    task = asyncio.create_task(made.take())
    await asyncio.sleep(0)
    one = picture(BufferPool(SIDE))
    made.put(one)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await made.take() is one
    assert shed.n == 0
    one.release()


async def test_an_untaken_picture_does_not_outlive_the_budget():
    """Nobody takes it, no newer one comes: when it is 100 ms old, and no earlier, it is overwritten and counted."""
    now = 0
    made, shed = slot(clock=lambda: now)
    one, loop = picture(BufferPool(SIDE), decoded_ns=0), asyncio.get_running_loop()
    pixels, before = one.pixels, loop.time()
    made.put(one)
    await asyncio.sleep(0)
    alarm = made._expiry
    assert before + BUDGET_NS / 1e9 <= alarm.when() <= loop.time() + BUDGET_NS / 1e9
    now = BUDGET_NS - 1
    await until(lambda: made._expiry is not alarm, "it was looked at")
    assert (shed.n, bytes(pixels)) == (0, b"\xa5" * SIZE)
    now = BUDGET_NS
    await until(lambda: shed.n == 1)
    assert bytes(pixels) == bytes(SIZE)


async def test_each_picture_has_its_own_expiry():
    """A picture that displaced an older one is not wiped by the older one's alarm, but by its own."""
    made, shed = slot()
    pool = BufferPool(SIDE)
    now = boottime_ns()
    made.put(picture(pool, 1, decoded_ns=now - BUDGET_NS + 20_000_000))
    await asyncio.sleep(0)
    young = picture(pool, 2)
    made.put(young)
    await until(lambda: shed.n == 2)
    assert boottime_ns() - young.decoded_ns >= BUDGET_NS


async def test_without_expiry_a_picture_waits():
    """For a file that is read without pacing the picture stays until it is taken."""
    made, shed = slot(expires=False)
    one = picture(BufferPool(SIDE), decoded_ns=0)
    made.put(one)
    await asyncio.sleep(0.15)
    assert await made.take() is one
    assert shed.n == 0
    one.release()


async def test_shut_wipes_and_refuses_until_opened():
    """Pausing overwrites what is in the slot, and what comes after it, until it is opened again."""
    made, shed = slot()
    pool = BufferPool(SIDE)
    one = picture(pool, 1)
    first = one.pixels
    made.put(one)
    made.shut()
    two = picture(pool, 2)
    second = two.pixels
    made.put(two)
    assert bytes(first) == bytes(second) == bytes(SIZE)
    assert shed.n == 2
    made.open()
    three = picture(pool, 3)
    made.put(three)
    assert await made.take() is three
    three.release()


async def test_close_ends_a_waiting_take():
    """After close a waiting take and every later one return None, and what comes is overwritten."""
    made, _ = slot()
    task = asyncio.create_task(made.take())
    await asyncio.sleep(0)
    thread = threading.Thread(target=made.close)
    thread.start()
    assert await asyncio.wait_for(task, 5) is None
    thread.join()
    assert await made.take() is None
    one = picture(BufferPool(SIDE))
    pixels = one.pixels
    made.put(one)
    assert bytes(pixels) == bytes(SIZE)


def test_a_closed_loop_wipes_the_picture():
    """When the loop is gone nobody will take the picture: it is overwritten, and the thread sees no error."""
    loop = asyncio.new_event_loop()
    made, _ = slot(loop)
    loop.close()
    one = picture(BufferPool(SIDE))
    pixels = one.pixels
    made.put(one)
    assert bytes(pixels) == bytes(SIZE)


async def test_a_thousand_pictures_under_contention_keep_the_count():
    """Fast thread, slow taker: each picture is taken or shed, sequences grow, every buffer comes back."""
    made, shed = slot()
    pool = BufferPool(SIDE)
    sent = [0]

    def produce():
        for sequence in range(1000):
            buffer = pool.take()
            if buffer is not None:
                sent[0] += 1
                made.put(Picture(SIDE, SIDE, sequence, 1, 0, boottime_ns(), 1, buffer, pool))
        made.close()

    thread = threading.Thread(target=produce)
    thread.start()
    taken = []
    while (one := await made.take()) is not None:
        taken.append(one.sequence)
        one.release()
    thread.join()
    assert taken == sorted(set(taken))
    assert len(taken) + shed.n == sent[0]
    assert pool.wait_idle(1)
