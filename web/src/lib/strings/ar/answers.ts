/** What an answer is made of: its tokens, its parts, and what can be done with them. */

import { plural } from "../../plural";
import type en from "../en/answers";

const words: typeof en = {
  tokens: {
    label: "رموز الإجابة",
    loading: "تُقرأ الإجابة من جديد",
    failed: "تعذّر حساب احتمالات الرموز.",
    retry: "أعد المحاولة",
    intro: "يبيّن لون كل رمز مدى احتماله عند النموذج قبل تطبيق درجة الحرارة والإعدادات الأخرى.",
    keys: "تنقلك مفاتيح الأسهم من رمز إلى رمز، ومفتاح الإدخال إلى البدائل.",
    legend: "الاحتمال",
    numbers: "إظهار الأرقام",
    atLeast: (percent: string) => `≥ ${percent}`,
    below: (percent: string) => `< ${percent}`,
    perplexity: "الحيرة",
    perplexityHint: "صعوبة التخمين كما لو كان الاختيار بين هذا العدد من الرموز المتساوية الاحتمال",
    mean: "متوسط الاحتمال",
    count: "عدد الرموز",
    surprises: "الأقل احتمالًا",
    soFar: (count: string, total: string) => `أول ${count} من ${total} من الرموز`,
    more: "إظهار المزيد من الرموز",
    tokenised: "لم يكتب أي نموذج هنا هذا النص كما هو؛ قُسّم إلى رموز من أجل هذا العرض.",
    changed: "تغيّرت التعليمات أو الرسائل السابقة منذ كتابة هذا، لذا قد تختلف الأرقام عمّا كانت عليه حينها.",
    first: "ليس للرمز الأول احتمال.",
    told: (token: string, probability: string, rank: string) => `${token}، ${probability}، ${rank}`,
    rank: (rank: number) => `المرتبة ${rank}`,
    rankBeyond: (count: number) => `خارج أكثر ${count} احتمالًا`,
    piece: (index: number, count: number) => `الجزء ${index} من ${count} من محرف`,
    alternatives: "أكثر الرموز احتمالًا هنا",
    chosen: "مختار",
    continueWith: (token: string) => `تابع بـ ${token}`,
    continueHint: "تحتفظ نسخة جديدة من الإجابة بما سبق وتتابع من الرمز الذي تختاره.",
    ends: "ينهي الإجابة",
    space: "مسافة",
    spaces: (count: number) =>
      plural(count, { zero: "بلا مسافات", one: "مسافة واحدة", two: "مسافتان", few: "# مسافات", many: "# مسافة", other: "# مسافة" }),
    newLine: "سطر جديد",
    newLines: (count: number) =>
      plural(count, { zero: "بلا أسطر", one: "سطر جديد واحد", two: "سطران جديدان", few: "# أسطر جديدة", many: "# سطرًا جديدًا", other: "# سطر جديد" }),
    tab: "علامة جدولة",
    bytes: (hex: string) => `البايتات ${hex}`,
  },
};
export default words;
