/** Arabic: the words of what can be done from anywhere, of its palette and of the sheet of shortcuts. */

import { plural } from "../../plural";
import type en from "../en/commands";

const words: typeof en = {
  commands: {
    palette: "الأوامر والمحادثات والنماذج",
    newChat: "محادثة جديدة",
    temporary: "بدء محادثة مؤقتة أو إنهاؤها",
    find: "البحث في المحادثات",
    write: "كتابة رسالة",
    stop: "إيقاف الإجابة",
    copyAnswer: "نسخ آخر إجابة",
    chooseModel: "اختيار نموذج",
    sidebar: "إظهار الشريط الجانبي أو إخفاؤه",
    shortcuts: "اختصارات لوحة المفاتيح",
    account: "الحساب",
    keys: "مفاتيح API",
    models: "النماذج",
    playground: "ساحة التجربة",
    compare: "مقارنة النماذج",
    archive: "الأرشيف",
    admin: "الإدارة",
    users: "المستخدمون",
    reference: "مرجع API",
  },

  palette: {
    label: "أمر أو محادثة",
    placeholder: "ماذا تودّ أن تفعل؟",
    none: "لا شيء يطابق هذا.",
    found: (count) => plural(count, { zero: "لا نتائج", one: "نتيجة واحدة", two: "نتيجتان", few: "# نتائج", many: "# نتيجة", other: "# نتيجة" }),
    commands: "الأوامر",
    chats: "المحادثات",
    projects: "المشاريع",
    models: "النماذج",
    looks: "المظهر",
    languages: "اللغة",
    findText: (query) => `البحث عن «${query}» في كل المحادثات`,
  },

  sheet: {
    send: "إرسال",
    newLine: "سطر جديد",
    messages: "الانتقال من رسالة إلى أخرى",
    enter: "Enter",
    shift: "Shift",
    escape: "Esc",
    single: "استخدام «/» وحدها لكتابة رسالة",
    singleHint: "أوقفه إذا كان صوتك أو الخطأ يضغط المفاتيح.",
  },
};
export default words;
