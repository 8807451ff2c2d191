// The web page is rendered when the app is built, without a client.
export const prerender = true;
