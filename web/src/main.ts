// What the page names. No other script imports it: a page from a cache may know it by another name, and what is in it
// would be there twice.
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/prose.css";

void import("./first");
