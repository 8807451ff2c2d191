import { writeFileSync } from "node:fs";
import { expect, test } from "@playwright/test";

test("the list shows the contacts of Graph, and follows them", async ({ page }) => {
  await page.goto("/");
  const rows = page.getByRole("listitem");
  await expect(rows).toHaveCount(25);
  const count = await rows.count();
  await page.evaluate(() => window.graph.add("contacts", { displayName: "Zoë Contoso" }));
  await page.evaluate(() => window.client.orgContacts().sync());
  await expect(page.getByText("Zoë Contoso")).toBeVisible();
  const result = await page.evaluate(() => window.result);
  writeFileSync("result.json", JSON.stringify({ ...result, count }));
});
