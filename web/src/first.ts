/** The first that runs: it asks for everything else at once, so that nothing waits for what it does not need. */

import { askEarly } from "./lib/early";
import { announceLanguage } from "./lib/language";
import { loadStrings } from "./lib/strings";

announceLanguage();
askEarly();
// Not awaited here: the words' module may import from this one, and would wait for it in turn.
void Promise.all([import("./shell"), loadStrings("index")]).then(([{ show }]) => show());
