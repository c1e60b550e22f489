/** What can be done with an answer, beside it, and what is shown in it. */

import { plural } from "../../plural";
import type en from "../en/answer";

const words: typeof en = {
  answer: {
    tokens: "إظهار احتمال كل رمز",
    text: "إظهار الإجابة نفسها",
    thinking: "يفكّر",
    thought: "التفكير",
    thoughtFor: (time: string) => `فكّر لمدة ${time} ث`,
    copyText: "نسخ كنص عادي",
    wrap: "التفاف الأسطر",
    download: "تنزيل",
    lines: (count: number) => plural(count, { zero: "بلا أسطر", one: "سطر واحد", two: "سطران", few: "# أسطر", many: "# سطرًا", other: "# سطر" }),
    copyTable: "نسخ الجدول",
    footnotes: "الحواشي",
    formulaFailed: "تعذّر رسم هذه الصيغة:",
    diagram: "مخطط",
    diagramFailed: "تعذّر رسم هذا المخطط:",
    tooLong: "إنه طويل جدًا",
    ended: "الانتهاء",
    stop: "من تلقاء نفسها",
    length: "عند حد الطول",
    cancelled: "بالإيقاف",
    context: "السياق المستخدم",
    used: (tokens: string, of: string, percent: string) => `${tokens} من ${of} من الرموز، ${percent} %`,
    temperature: "درجة الحرارة",
    maxTokens: "حد الطول",
    penalty: "عقوبة التكرار",
  },
};
export default words;
