import { mount } from "svelte";
import App from "./App.svelte";
import { announceLanguage } from "./lib/language";
import { loadStrings } from "./lib/strings";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/prose.css";

announceLanguage();
// Not awaited here: the words' module may import from this one, and would wait for it in turn.
void loadStrings("index").then(() => mount(App, { target: document.getElementById("app")! }));
