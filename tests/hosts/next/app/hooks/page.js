// A server component, which imports the provider from the package: its file is a client component.
import { DeltaProvider } from "deltalink/react";
import { Signed } from "./signed.js";

export default function Page() {
  return (
    <DeltaProvider client={undefined}>
      <Signed />
    </DeltaProvider>
  );
}
