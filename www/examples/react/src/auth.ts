// Sign-in with MSAL. Set the client id of your app registration, a single-page application.
import { type AccountInfo, PublicClientApplication } from "@azure/msal-browser";
import { openDelta } from "deltalink";
import { fromMsal } from "deltalink/msal";

const scopes = ["Calendars.Read", "OrgContact.Read.All"];
const clientId = "00000000-0000-0000-0000-000000000000";
const msal = new PublicClientApplication({ auth: { clientId } });

export const open = (account: AccountInfo) => openDelta({ token: fromMsal(msal, { account, scopes }) });

/** Opens a client if a user has signed in before. */
export async function restore() {
  await msal.initialize();
  const [account] = msal.getAllAccounts();
  return account && open(account);
}

/** `claims`: the claims that Graph requires of the token. */
export const signIn = async (claims?: string) =>
  (await msal.loginPopup({ scopes, ...(claims && { claims }) })).account;

export const signOut = () => msal.clearCache();
