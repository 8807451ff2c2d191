// The faults of the demo. Each one can make one request fail, and most can stay on.
import type { FakeFaults } from "deltalink/testing";
import type { LucideIcon } from "lucide-react";
import {
  Clock,
  CloudOff,
  FileWarning,
  Layers,
  LockKeyhole,
  ServerCrash,
  ShieldX,
  Unplug,
  UserRound,
} from "lucide-react";
import type { DemoSession } from "./demo";
import type { ViewId } from "./rounds";
import type { LastingFault } from "./world";

export interface DemoFault {
  id: string;
  icon: LucideIcon;
  label: string;
  hint: string;
  /** Makes the next request of a collection fail. */
  inject(session: DemoSession, view: ViewId): Promise<void>;
  /** The fault while its switch is on. */
  lasting?: LastingFault;
}

/** A fault that is the same for one request and while its switch is on. */
const simple = (fault: FakeFaults): Pick<DemoFault, "inject" | "lasting"> => ({
  inject: ({ world }, view) => world.fault(view, fault),
  lasting: { fault },
});

export const FAULTS: DemoFault[] = [
  {
    id: "throttle",
    icon: Clock,
    label: "Throttle",
    hint: "429, Retry-After 3 s",
    ...simple({
      name: "status",
      status: 429,
      code: "TooManyRequests",
      message: "Too many requests.",
      headers: { "Retry-After": "3" },
    }),
  },
  {
    id: "server-error",
    icon: ServerCrash,
    label: "Server error",
    hint: "503, a service that is down",
    ...simple({
      name: "status",
      status: 503,
      code: "ServiceUnavailable",
      message: "The service is down for a moment.",
    }),
  },
  {
    id: "no-response",
    icon: CloudOff,
    label: "No response",
    hint: "The connection fails at once",
    ...simple({ name: "network" }),
  },
  {
    id: "cut",
    icon: Unplug,
    label: "Cut the connection",
    hint: "After 200 bytes of a response",
    ...simple({ name: "cut", n: 200 }),
  },
  {
    id: "malformed",
    icon: FileWarning,
    label: "Malformed page",
    hint: "A body that is not JSON",
    ...simple({ name: "notJson" }),
  },
  {
    id: "expire",
    icon: Layers,
    label: "Expire the links",
    hint: "A full round follows",
    inject: ({ world }, view) => world.expireLinks(view),
    lasting: { fault: { name: "reset" }, kind: "delta" },
  },
  {
    id: "unauthorized",
    icon: LockKeyhole,
    label: "Refuse the token",
    hint: "401; a new one is requested",
    inject: ({ world }) => world.revokeTokens(),
    lasting: { fault: { name: "unauthorized" } },
  },
  {
    id: "sign-in",
    icon: UserRound,
    label: "Ask for a sign-in",
    hint: "401 with a claims challenge",
    inject: (session, view) => (session.requireSignIn(), session.world.fault(view, { name: "claims" })),
  },
  {
    id: "forbid",
    icon: ShieldX,
    label: "Forbid",
    hint: "403: a round that fails",
    ...simple({
      name: "status",
      status: 403,
      code: "ErrorAccessDenied",
      message: "Access is denied. Check credentials and try again.",
    }),
  },
];
