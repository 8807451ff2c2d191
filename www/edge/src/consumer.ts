import type { ChangeMessage, Env } from "./env";

/**
 * Processes the changes: put your own code here. Queues may deliver a message twice, and after a
 * later message about the same item, so the code must tolerate both.
 */
export async function consume(batch: MessageBatch<ChangeMessage>, env: Env): Promise<void> {
  for (const message of batch.messages) {
    try {
      const { mailbox, id, type } = message.body;
      const item =
        "reference" in message.body
          ? await env.MAILBOXES.getByName(mailbox).item(id)
          : "item" in message.body
            ? message.body.item
            : undefined;
      console.log(type, mailbox, id, item && "createdDateTime" in item ? item.createdDateTime : "");
      message.ack();
    } catch (error) {
      console.error(error);
      message.retry();
    }
  }
}
