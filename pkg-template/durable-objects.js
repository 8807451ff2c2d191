// @ts-check
export { BudgetObject } from "./budget-object.js";
export { MailboxObject } from "./mailbox-object.js";
export { RegistryObject } from "./registry-object.js";
