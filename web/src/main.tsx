import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { takeToken } from "./app/signInLink";
import { BrowserStore } from "./app/store/store";
import "./app/styles.css";

const store = new BrowserStore();
store.start();
/** By the link that opened the page, and by one that is followed while it is open. */
function signIn(): void {
  const token = takeToken(window.location, window.history);
  if (token !== null) void store.signIn(token);
}
signIn();
window.addEventListener("hashchange", signIn);

const root = document.getElementById("root");
if (root === null) throw new Error("the page has no #root");
createRoot(root).render(
  <StrictMode>
    <App store={store} />
  </StrictMode>,
);
