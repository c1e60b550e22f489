import { mount } from "svelte";
import App from "./App.svelte";

/** Puts the application into the page; its words are there. */
export function show(): void {
  mount(App, { target: document.getElementById("app")! });
}
