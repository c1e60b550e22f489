/** ما يُفعل بالرسائل: التعديل والنسخ والتفريع والمقارنة والانتظار. */

import { plural } from "../../plural";
import type en from "../en/conversation";

const words: typeof en = {
  editing: {
    actions: "المزيد لهذه الرسالة",
    answerLabel: "تعديل الإجابة",
    save: "حفظ",
    saveCopy: "حفظ كنسخة",
    overwrite: "حفظ على أي حال",
    edited: "معدّلة",
    editedAt: (time) => `عُدّلت ${time}`,
    elsewhere: "عُدّلت هذه الرسالة في علامة تبويب أخرى في هذه الأثناء. نصّك محفوظ هنا: احفظه على أي حال أو كنسخة.",
    fork: "تفريع إلى محادثة جديدة",
    forked: "هذا هو الفرع، محادثة مستقلة.",
    compare: "مقارنة النسخ",
  },

  compare: {
    title: "مقارنة النسخ",
    left: "النسخة الأولى",
    right: "النسخة الثانية",
    version: (index, count) => `النسخة ${index} من ${count}`,
    same: "النسختان متطابقتان.",
    differ: (count) => plural(count, { zero: "لا اختلاف", one: "اختلاف واحد", two: "اختلافان", few: "# اختلافات", many: "# اختلافًا", other: "# اختلاف" }),
    unlike: "لا تشترك هاتان النسختان إلا في القليل: النص كله مميّز.",
    removed: "في الأولى فقط:",
    added: "في الثانية فقط:",
    close: "إغلاق",
  },

  queue: {
    send: "إرسال بعد هذه الإجابة",
    waits: "ستُرسل عند اكتمال الإجابة أعلاه",
    held: "لم تُرسل: انتهت الإجابة أعلاه قبل أوانها",
    now: "إرسال الآن",
    withdraw: "سحب",
    late: "لقد أُرسلت، وتُكتب إجابتها الآن.",
    answer: "تأتي الإجابة بعد التي أعلاها.",
  },
};
export default words;
