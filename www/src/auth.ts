// The redirect page of Microsoft's sign-in, in a popup or a hidden frame. It passes the response to
// the dashboard.
import { broadcastResponseToMainFrame } from "@azure/msal-browser/redirect-bridge";

broadcastResponseToMainFrame().catch((error: unknown) => {
  document.body.textContent = `This page is only used while signing in. ${error instanceof Error ? error.message : ""}`;
});
