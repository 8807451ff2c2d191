// The conditions that Cloudflare's plugin for Vite sets, here in a build for a web page.
export default { resolve: { conditions: ["workerd", "worker", "module", "browser"] } };
