/** The words of a long transcript. */

import type en from "../en/transcript";

const words: typeof en = {
  longChat: {
    messages: "الرسائل",
    notLoaded: "تعذّر تحميل هذه الرسالة.",
    retry: "أعد المحاولة",
    contextFrom: (tokens: string) => `لم يعد النموذج يرى ما سبق: يتسع سياقه لـ ${tokens} رمزًا.`,
    contextCut: (tokens: string) => `لم تعد أقدم الرسائل تتسع في سياق النموذج (${tokens} رمز)، فلم تدخل في هذه الإجابة.`,
    contextHint: "ليراه كله من جديد اختر نموذجًا ذا سياق أكبر، أو تابع في محادثة جديدة مع ملخص.",
  },
};
export default words;
