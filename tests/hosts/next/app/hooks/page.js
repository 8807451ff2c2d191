// A server component that imports the provider, whose file in the package is a client component.
import { DeltaProvider } from "deltalink/react";
import { Signed } from "./signed.js";

export default function Page() {
  return (
    <DeltaProvider client={undefined}>
      <Signed />
    </DeltaProvider>
  );
}
