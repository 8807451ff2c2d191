// The site that `make docs` builds from the pages of docs/.
import { readFileSync, readdirSync } from "node:fs";
import process from "node:process";

const { repository, version } = JSON.parse(
  readFileSync(new URL("../../pkg-template/package.json", import.meta.url), "utf8"),
);
const address = repository.url.replace(/^git\+/, "").replace(/\.git$/, "");
const folder = new URL("../decisions/", import.meta.url);
const decisions = readdirSync(folder)
  .filter((name) => name.endsWith(".md"))
  .sort()
  .map((name) =>
    page(readFileSync(new URL(name, folder), "utf8").match(/^# (.*)$/m)[1], `decisions/${name.slice(0, -3)}`),
  );

function page(text, name) {
  return { text, link: `/${name}` };
}

export default {
  title: "deltalink",
  description: "A local copy of a Microsoft Graph collection, kept up to date by delta queries",
  lang: "en",
  base: process.env.BASE ?? "/",
  outDir: new URL("../../dist/docs", import.meta.url).pathname,
  cleanUrls: false,
  // The references are made by other tools. tests/readme.mjs checks links to files outside of
  // docs/, which lead to the repository.
  ignoreDeadLinks: [/^\/(api|rust)\//],
  markdown: {
    config(md) {
      md.core.ruler.push("links-to-files", (state) => {
        for (const { children } of state.tokens)
          for (const token of children ?? []) {
            const href = token.type === "link_open" && token.attrGet("href");
            if (href && href.startsWith("../"))
              token.attrSet("href", `${address}/blob/main/${href.slice(3)}`);
          }
      });
    },
  },
  themeConfig: {
    search: { provider: "local" },
    nav: [
      { text: version, link: `${address}/blob/main/CHANGELOG.md` },
      { text: "API", link: "/api/", target: "_self" },
      { text: "Rust", link: "/rust/deltalink/", target: "_self" },
    ],
    sidebar: [
      {
        text: "Start",
        items: [
          page("Overview", ""),
          page("Concepts", "concepts"),
          page("Sign-in and sign-out", "sign-in"),
          page("Kinds of resources", "kinds"),
        ],
      },
      {
        text: "Use",
        items: [
          page("Live queries and views", "live"),
          page("React", "react"),
          page("Calendar", "calendar"),
          page("Reading and listening", "reading"),
          page("Acknowledgement", "acknowledgement"),
          page("Errors", "errors"),
          page("Logging", "logging"),
          page("Cloudflare Workers", "workers"),
          page("A Worker with notifications", "edge"),
          page("Scale", "scale"),
          page("Testing", "testing"),
        ],
      },
      {
        text: "Know",
        items: [
          page("How it works", "how-it-works"),
          page("Hosts and entries", "hosts"),
          page("Storage", "storage"),
          page("Security", "security"),
          page("Performance", "performance"),
          page("Upgrading", "upgrading"),
        ],
      },
      {
        text: "Decisions",
        collapsed: true,
        items: decisions,
      },
    ],
  },
};
