"""Many requests of one lane: as many at a time as its engines take, in an order that prompt caches profit from.

Requests that begin alike go one after another, for engines keep what they read of the last prompts. Each has its own outcome:
one that fails takes nothing from the others.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from inference.errors import BudgetExhausted, Cancelled, InferenceError
from inference.generation.lane import GenerateLane
from inference.protocols import Progress
from inference.requests import Cancellation, Completion, GenerateRequest

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

    order = shared_prefix_order(requests)
    threads = min(sum(member.spec.concurrency for member in lane.members()[:1]), _MOST_THREADS, max(len(requests), 1))
    with ThreadPoolExecutor(threads, thread_name_prefix=f"lane-{lane.name}") as pool:
        futures: dict[int, Future[Outcome]] = {at: pool.submit(work, requests[at]) for at in order}
        return [futures[at].result() for at in range(len(requests))]


def shared_prefix_order(requests: Sequence[GenerateRequest]) -> list[int]:
    """Positions, those of requests that begin alike next to each other."""
    texts = ["\x00".join(f"{one.role}\x01{one.content}" for one in request.conversation()) for request in requests]
    return sorted(range(len(requests)), key=lambda at: (texts[at], at))
