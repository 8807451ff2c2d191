// The page that Microsoft's sign-in returns to, in the popup or a hidden frame: it hands the answer
// to the dashboard.
import { broadcastResponseToMainFrame } from "@azure/msal-browser/redirect-bridge";

broadcastResponseToMainFrame().catch((error: unknown) => {
  document.body.textContent = `This page only takes part in signing in. ${error instanceof Error ? error.message : ""}`;
});
