import { type ReactNode, useState } from "react";
import { createRoot } from "react-dom/client";
import { startOf } from "deltalink/calendar";
import { DeltaProvider, useDelta, useDeltaClient, useDescription, useSignInError } from "deltalink/react";
import { open, restore, signIn, signOut } from "./auth";

const twoWeeks = { window: { daysAhead: 14 } };
const restored = restore();

function Calendar() {
  const { items, status } = useDelta(useDeltaClient()?.events(twoWeeks));
  const rows = items.map((event) => (
    <li key={event.id}>{`${startOf(event).toLocaleString()} ${event.subject}`}</li>
  ));
  return <List title={`Calendar: ${useDescription(status)}`} rows={rows} />;
}

function Contacts() {
  const { items, total } = useDelta(useDeltaClient()?.orgContacts(), { orderBy: "displayName", limit: 100 });
  const rows = items.map(({ id, displayName }) => <li key={id}>{displayName}</li>);
  return <List title={`${total} contacts`} rows={rows} />;
}

const List = ({ title, rows }: { title: string; rows: ReactNode[] }) => (
  <section>
    <h2>{title}</h2>
    <ul>{rows}</ul>
  </section>
);

function Account({ onChange }: { onChange: (client: typeof restored | undefined) => void }) {
  const client = useDeltaClient();
  const error = useSignInError();
  if (!client) return <button onClick={() => onChange(signIn().then(open))}>Sign in</button>;
  const again = () => signIn(error?.claims).then(() => client.resume());
  const leave = async () => {
    onChange(undefined); // first, so that nothing renders with a closed client
    await client.forget();
    await signOut();
  };
  return (
    <>
      {error && <button onClick={again}>Sign in again</button>}
      <button onClick={leave}>Sign out</button>
    </>
  );
}

function App() {
  const [client, setClient] = useState<typeof restored | undefined>(restored);
  return (
    <DeltaProvider client={client}>
      <Account onChange={setClient} />
      <Calendar />
      <Contacts />
    </DeltaProvider>
  );
}

createRoot(document.querySelector("#root")!).render(<App />);
