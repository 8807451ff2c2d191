import type { DeltaClient, DeltaQuery } from "deltalink";

interface Resource {
  /** The query of a mailbox. */
  query(client: DeltaClient, mailbox: string): DeltaQuery<{ id: string }>;
  /**
   * The resource of its subscription. If Graph has no notifications for it, the mailbox is polled.
   */
  notificationResource(mailbox: string): string;
  /**
   * Whether all mailboxes share one throttling limit, so that a 429 for one of them stops all. In
   * Outlook each mailbox has its own limit.
   */
  sharesLimit: boolean;
  /** Whether a name on the list is that of a tenant rather than that of a mailbox. */
  isTenant?: boolean;
}

const userPath = (mailbox: string, path: string) => `users/${encodeURIComponent(mailbox)}/${path}`;

/** The choices of the setting `RESOURCE`. */
const RESOURCES: Record<string, Resource> = {
  recordings: {
    query: (client, organizer) => client.callRecordings({ organizer }),
    notificationResource: (mailbox) => userPath(mailbox, "onlineMeetings/getAllRecordings"),
    sharesLimit: true,
  },
  calendars: {
    query: (client, user) => client.events({ user, window: { daysBack: 7, daysAhead: 60 } }),
    notificationResource: (mailbox) => userPath(mailbox, "events"),
    sharesLimit: false,
  },
  users: {
    query: (client) => client.track("/users/delta"),
    notificationResource: () => "users",
    sharesLimit: false,
    isTenant: true,
  },
};

export function resourceOf(name = ""): Resource {
  const resource = RESOURCES[name || "recordings"];
  if (!resource) throw new Error(`RESOURCE must be one of ${Object.keys(RESOURCES).join(", ")}`);
  return resource;
}
