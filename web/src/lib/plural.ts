/** Words that follow a number, as each language bends them. */

import { formatNumber } from "./format";
import { language } from "./language";

const rules = new Intl.PluralRules(language);

/** By the language's own categories (Unicode CLDR); `#` stands for the number. English has one and other. */
type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

/** `plural(2, { one: "# token", other: "# tokens" })` → "2 tokens". */
export function plural(count: number, forms: Forms): string {
  return (forms[rules.select(count)] ?? forms.other).replaceAll("#", formatNumber(count));
}
