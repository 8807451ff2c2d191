import type {
  AdministrativeUnit,
  Application,
  CallRecording,
  CallTranscript,
  ChatMessage,
  Contact,
  ContactFolder,
  Device,
  DirectoryObject,
  DirectoryRole,
  DriveItem,
  EducationAssignment,
  EducationCategory,
  EducationClass,
  EducationSchool,
  EducationUser,
  Event,
  Group,
  ListItem,
  MailFolder,
  Message,
  OAuth2PermissionGrant,
  OrgContact,
  PlannerBucket,
  PlannerPlan,
  PlannerTask,
  ServicePrincipal,
  Site,
  TodoTask,
  TodoTaskList,
  User,
} from "@microsoft/microsoft-graph-types";
import type { WithId } from "./items.js";

/** An object of Graph whose type is not known. */
export interface Entity {
  id: string;
  [property: string]: unknown;
}

/** The type of the items of the delta query with this path; {@link Entity} if it is not known. */
export type Tracked<Path extends string> = Path extends `/${infer Rest}`
  ? Tracked<Rest>
  : Path extends
        | `${infer Collection}/delta`
        | `${infer Collection}/delta${"?" | "("}${string}`
        | `${infer Collection}/microsoft.graph.delta${string}`
    ? WithId<ItemOf<Collection>>
    : Entity;

/**
 * The type of the items of the delta query with this path, with the selected properties only.
 */
export type Selected<Path extends string, Name extends string> = Narrowed<Tracked<Path>, Name>;

/**
 * The type `T` with the selected properties and the id, which is always returned. Selected
 * properties that `T` lacks, such as extensions, have the type `unknown`.
 */
export type Narrowed<T, Name extends string> = [Name] extends [never]
  ? T
  : string extends Name
    ? T
    : string extends keyof T
      ? T
      : [Name] extends [keyof T]
        ? WithId<Pick<T, Name>>
        : WithId<Pick<T, Name & keyof T> & { [N in Exclude<Name, keyof T>]?: unknown }>;

/** The name of a property of `T`, which editors complete, or any other name. */
export type PropertyName<T> = (keyof T & string) | (string & {});

type ItemOf<Collection extends string> = Collection extends keyof Roots
  ? Roots[Collection]
  : Collection extends `${string}/calendarView`
    ? Event
    : Collection extends `${string}/getAllRecordings(${string})` | `${string}/${Call}/${string}/recordings`
      ? CallRecording
      : Collection extends
            `${string}/getAllTranscripts(${string})` | `${string}/${Call}/${string}/transcripts`
        ? CallTranscript
        : Collection extends
              `${"teams/" | "chats/"}${string}/${"messages" | "replies"}` | `${string}/getAllMessages`
          ? ChatMessage
          : Collection extends `${string}/messages`
            ? Message
            : Collection extends `${string}/mailFolders`
              ? MailFolder
              : Collection extends `${string}/contacts`
                ? Contact
                : Collection extends `${string}/contactFolders`
                  ? ContactFolder
                  : Collection extends `${string}/todo/lists`
                    ? TodoTaskList
                    : Collection extends `${string}/todo/lists/${string}/tasks`
                      ? TodoTask
                      : Collection extends
                            | `${string}/root`
                            | `${string}drive/items/${string}`
                            | `${string}drives/${string}/items/${string}`
                        ? DriveItem
                        : Collection extends `sites/${string}/lists/${string}/items`
                          ? ListItem
                          : Collection extends `education/${string}/assignments`
                            ? EducationAssignment
                            : Collection extends
                                  | `education/${string}/assignmentCategories`
                                  | `education/${string}/assignments/${string}/categories`
                              ? EducationCategory
                              : PlannerItemOf<Collection>;

/** What can be recorded. */
type Call = "onlineMeetings" | "adhocCalls";

type PlannerItemOf<Collection extends string> = Collection extends `planner/plans/${string}/buckets`
  ? PlannerBucket
  : Collection extends `planner/plans/${string}/tasks` | `${string}/planner/tasks` | "planner/tasks"
    ? PlannerTask
    : Collection extends `${string}/planner/plans` | `planner/rosters/${string}/plans`
      ? PlannerPlan
      : Entity;

interface Roots {
  administrativeUnits: AdministrativeUnit;
  applications: Application;
  contacts: OrgContact;
  devices: Device;
  "directory/administrativeUnits": AdministrativeUnit;
  directoryObjects: DirectoryObject;
  directoryRoles: DirectoryRole;
  "education/classes": EducationClass;
  "education/schools": EducationSchool;
  "education/users": EducationUser;
  groups: Group;
  oauth2PermissionGrants: OAuth2PermissionGrant;
  servicePrincipals: ServicePrincipal;
  sites: Site;
  users: User;
}
