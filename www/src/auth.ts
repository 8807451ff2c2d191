// The script of auth.html, to which Microsoft's sign-in redirects in a popup or a hidden frame.
// Passes the response to the dashboard.
import { broadcastResponseToMainFrame } from "@azure/msal-browser/redirect-bridge";

broadcastResponseToMainFrame().catch((error: unknown) => {
  document.body.textContent = `This page is only used while signing in. ${error instanceof Error ? error.message : ""}`;
});
