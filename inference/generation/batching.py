"""Many requests of one lane: as many at a time as its engines take, in an order that prompt caches profit from.

Requests that begin alike go one after another, for engines keep what they read of the last prompts. Each has its own outcome:
one that fails takes nothing from the others.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from inference.errors import BudgetExhausted, Cancelled, InferenceError
from inference.generation.lane import GenerateLane
from inference.generation.one_call import Asked
from inference.generation.question import Member, Question
from inference.protocols import BatchGenerator, Progress
from inference.requests import Cancellation, Completion, GenerateRequest, Reply

_MOST_THREADS: Final = 64
Outcome = Completion | InferenceError


def generate_batch(
    lane: GenerateLane,
    requests: Sequence[GenerateRequest],
    cancellation: Cancellation | None = None,
    progress: Progress | None = None,
) -> list[Outcome]:
    """An outcome for each request, in their order.

    Where a budget is exhausted, those that were not asked yet have that as their outcome at once; so have all after
    cancelling. What was answered is kept: the same batch again asks only for the rest.

    Args:
        lane: that is asked.
        requests: any number.
        cancellation: ends all.
        progress: hears the tokens of each answer.
    """
    token = cancellation or Cancellation()
    stop: list[InferenceError] = []
    order = shared_prefix_order(requests)
    found_together = _together(lane, requests, order, token)

    def work(request: GenerateRequest) -> Outcome:
        if stop:
            return stop[0]
        try:
            found = lane.generate(request, token)
        except InferenceError as error:
            if isinstance(error, (BudgetExhausted, Cancelled)):
                stop.append(error)
            return error
        if progress is not None:
            progress(found.usage.prompt_tokens + found.usage.completion_tokens)
        return found

    if progress is not None:
        for one in found_together.values():
            progress(one.usage.prompt_tokens + one.usage.completion_tokens)
    rest = [at for at in order if at not in found_together]
    threads = min(sum(member.spec.concurrency for member in lane.members()[:1]), _MOST_THREADS, max(len(requests), 1))
    with ThreadPoolExecutor(threads, thread_name_prefix=f"lane-{lane.name}") as pool:
        futures: dict[int, Future[Outcome]] = {at: pool.submit(work, requests[at]) for at in rest}
        return [found_together[at] if at in found_together else futures[at].result() for at in range(len(requests))]


def _together(
    lane: GenerateLane, requests: Sequence[GenerateRequest], order: Sequence[int], token: Cancellation
) -> dict[int, Completion]:
    """What the first engine answers where it takes many requests at once; those that it failed on are asked one by one later."""
    member, done = lane.members()[0], dict[int, Completion]()
    if not isinstance(member.engine, BatchGenerator):
        return done
    for start in range(0, len(order), member.spec.concurrency):
        asked: dict[int, tuple[Question, Asked]] = {}
        for at in order[start : start + member.spec.concurrency]:
            question = lane.question(requests[at], token)
            kept = lane.kept(question)
            if kept is not None:
                done[at] = kept
                continue
            try:
                call = None if lane.is_too_long(member, question) else lane.turn(member, question)
            except (BudgetExhausted, Cancelled):
                break  # told again, and to every request that is left, when they are asked one by one
            if call is not None:
                asked[at] = question, call
        if asked:
            done |= _answered(lane, member, member.engine, asked)
    return done


def _answered(
    lane: GenerateLane, member: Member, engine: BatchGenerator, asked: dict[int, tuple[Question, Asked]]
) -> dict[int, Completion]:
    """Ask for a group that the ledger admitted, and write down how each went."""
    questions = [question for question, _ in asked.values()]
    until = questions[0].limits.within(member.spec.timeout)
    try:
        replies: list[Reply | InferenceError] = engine.generate_batch(
            [one.request for one in questions], until, [one.schema for one in questions]
        )
    except InferenceError as error:
        replies = [error] * len(questions)
    done = {}
    for (at, (question, call)), said in zip(asked.items(), replies, strict=True):
        reply = call.reply(lambda *_, said=said: _raised(said))
        found = None if reply is None else lane.settled(member, question, call, reply)
        if found is not None:
            done[at] = found
    return done


def _raised(said: Reply | InferenceError) -> Reply:
    if isinstance(said, InferenceError):
        raise said
    return said


def shared_prefix_order(requests: Sequence[GenerateRequest]) -> list[int]:
    """Positions, those of requests that begin alike next to each other."""
    texts = ["\x00".join(f"{one.role}\x01{one.content}" for one in request.conversation()) for request in requests]
    return sorted(range(len(requests)), key=lambda at: (texts[at], at))
