import type { ChangeMessage, Env } from "./env";

/**
 * Put your own work here. A message may come twice, and behind a later one of the same item: let it
 * be harmless.
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
