"""Deliver-webhook: one change told to one address, again and again for three days until it is heard."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import inngest

if TYPE_CHECKING:
    from anabranch.webhooks import Sender

# Waits after each attempt that was not heard: 16 attempts in a little over three days.
WAITS_S = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 21600, 28800, 28800, 36000, 36000, 43200, 43200)


def create(client: inngest.Inngest, sender: Sender, wait_scale: float) -> inngest.Function[str]:
    """The function that delivers; its event: `webhook/delivery.created` with `deliveryId`.

    Args:
        client: the app that it belongs to.
        sender: makes the attempts.
        wait_scale: factor on the waits between them.
    """

    @client.create_function(
        fn_id="deliver-webhook",
        name="Deliver a webhook",
        trigger=inngest.TriggerEvent(event="webhook/delivery.created"),
        retries=3,
    )
    async def deliver_webhook(ctx: inngest.Context) -> str:
        delivery_id = str(ctx.event.data["deliveryId"])
        for number in range(1, len(WAITS_S) + 2):
            outcome = await ctx.step.run(f"attempt-{number}", lambda: sender.attempt(delivery_id))
            if outcome != "again":
                return outcome
            if number <= len(WAITS_S):
                wait = datetime.timedelta(seconds=WAITS_S[number - 1] * wait_scale)
                # The SDK takes whole milliseconds, and none is no sleep.
                await ctx.step.sleep(f"wait-{number}", max(wait, datetime.timedelta(milliseconds=1)))
        return await ctx.step.run("give-up", lambda: sender.give_up(delivery_id))

    return deliver_webhook
