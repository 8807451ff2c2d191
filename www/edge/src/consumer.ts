import type { Message, Env } from "./env";

/**
 * Processes the changes: put your own code here. It must tolerate a message that arrives twice, and
 * one that arrives after a later message about the same item.
 */
export async function consume(batch: MessageBatch<Message>, env: Env): Promise<void> {
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
