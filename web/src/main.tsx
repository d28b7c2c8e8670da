import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/App";
import { takeToken } from "./app/signInLink";
import { BrowserStore } from "./app/store/store";
import "./app/styles.css";

const token = takeToken(window.location, window.history);
const store = new BrowserStore();
store.start();
if (token !== null) void store.signIn(token);

const root = document.getElementById("root");
if (root === null) throw new Error("the page has no #root");
createRoot(root).render(
  <StrictMode>
    <App store={store} />
  </StrictMode>,
);
