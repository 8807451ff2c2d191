// The form of the sign-in to Microsoft 365.
import type { Cloud } from "deltalink";
import { UserRound } from "lucide-react";
import { type FormEvent, type ReactNode, useState } from "react";
import type { Session } from "./session";
import { settings } from "./settings";
import { clouds, popupSession, redirectUri, type SignInConfig } from "./signin";
import { messageOf } from "./text";
import { Button } from "./ui";

interface SignInProps {
  config: SignInConfig | undefined;
  /** Why no session could be opened. */
  problem: string | undefined;
  onSession: (session: Session) => void;
  onDemo: () => void;
}

export function SignInForm({ config, problem, onSession, onDemo }: SignInProps) {
  const [error, setError] = useState<string | undefined>(problem);
  const [isPending, setPending] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>): Promise<void> => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const cloud = text("cloud") as Cloud;
    const entered: SignInConfig = { clientId: text("clientId"), tenant: text("tenant"), cloud };
    settings.set("signin", JSON.stringify(entered));
    setError(undefined);
    setPending(true);
    try {
      const { endpoint } = config ?? {};
      onSession(await popupSession({ ...entered, ...(endpoint && { endpoint }) }));
    } catch (error) {
      setError(`Not signed in. ${messageOf(error)}`);
      setPending(false);
    }
  };
  return (
    <form className="card signin" aria-labelledby="signin-heading" onSubmit={(event) => void submit(event)}>
      <h1 id="signin-heading" tabIndex={-1}>
        Sign in
      </h1>
      <p className="lead">
        Your calendar and your organization’s contacts, stored in this browser and kept up to date from
        Microsoft Graph. They are sent nowhere else.
      </p>
      <Field
        id="client-id"
        label="Client ID"
        hint="The ID of a single-page application registered in Microsoft Entra."
      >
        <input
          id="client-id"
          name="clientId"
          required
          pattern="[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
          title="The application (client) ID: 8-4-4-4-12 letters a to f and digits"
          placeholder="00000000-0000-0000-0000-000000000000"
          autoComplete="off"
          spellCheck={false}
          aria-describedby="client-id-hint"
          defaultValue={config?.clientId}
        />
      </Field>
      <Field id="tenant" label="Tenant" hint="Its directory ID or one of its domains.">
        <input
          id="tenant"
          name="tenant"
          required
          pattern="[A-Za-z0-9.\-]+"
          title="The directory (tenant) ID, or a domain such as contoso.example"
          placeholder="contoso.onmicrosoft.com"
          autoComplete="off"
          spellCheck={false}
          aria-describedby="tenant-hint"
          defaultValue={config?.tenant}
        />
      </Field>
      <Field id="cloud" label="Cloud" hint="A token is valid in one cloud only.">
        <select
          id="cloud"
          name="cloud"
          aria-describedby="cloud-hint"
          defaultValue={config?.cloud ?? "global"}
        >
          {Object.entries(clouds).map(([value, { label }]) => (
            <option key={value} value={value}>
              {label}
            </option>
          ))}
        </select>
      </Field>
      {error && (
        <div className="form-error" role="alert">
          {error}
        </div>
      )}
      <Button type="submit" className="primary large" icon={UserRound} disabled={isPending}>
        Sign in with Microsoft
      </Button>
      <details className="registration">
        <summary>Requirements of the registration</summary>
        <ul>
          <li>
            The platform Single-page application with the redirect URI <code>{redirectUri()}</code>
          </li>
          <li>
            The delegated permissions <code>Calendars.Read</code> and <code>OrgContact.Read.All</code>
          </li>
        </ul>
      </details>
      <p className="or">
        No tenant?{" "}
        <Button className="link" onClick={onDemo}>
          Look at the demo
        </Button>
      </p>
    </form>
  );
}

function Field(props: { id: string; label: string; hint: string; children: ReactNode }) {
  const { id, label, hint, children } = props;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children}
      <p id={`${id}-hint`} className="hint">
        {hint}
      </p>
    </div>
  );
}
