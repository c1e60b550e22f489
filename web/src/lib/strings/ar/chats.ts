/** قائمة المحادثات والمشاريع والأرشيف والبحث. */

import { plural } from "../../plural";
import type en from "../en/chats";

const words: typeof en = {
  chats: {
    more: "المزيد لقائمة المحادثات",
    pinned: "مثبّتة",
    pin: "تثبيت",
    unpin: "إلغاء التثبيت",
    archive: "أرشفة",
    restore: "استعادة",
    move: "نقل إلى مشروع",
    save: { markdown: "حفظ بصيغة Markdown", json: "حفظ بصيغة JSON" },
    select: "تحديد",
    selectMany: "تحديد محادثات",
    archived: (count) =>
      plural(count, {
        one: "محادثة واحدة في الأرشيف.",
        two: "محادثتان في الأرشيف.",
        few: "# محادثات في الأرشيف.",
        other: "# محادثة في الأرشيف.",
      }),
    moved: (count, project) =>
      plural(count, {
        one: `محادثة واحدة الآن في «${project}».`,
        two: `محادثتان الآن في «${project}».`,
        few: `# محادثات الآن في «${project}».`,
        other: `# محادثة الآن في «${project}».`,
      }),
    movedOut: (count) =>
      plural(count, {
        one: "محادثة واحدة لم تعد في أي مشروع.",
        two: "محادثتان لم تعودا في أي مشروع.",
        few: "# محادثات لم تعد في أي مشروع.",
        other: "# محادثة لم تعد في أي مشروع.",
      }),
    deleted: (count) =>
      plural(count, {
        one: "حُذفت محادثة واحدة.",
        two: "حُذفت محادثتان.",
        few: "حُذفت # محادثات.",
        other: "حُذفت # محادثة.",
      }),
    undo: "تراجع",
  },

  selection: {
    label: "المحادثات المحددة",
    count: (count) =>
      plural(count, { zero: "لم يُحدَّد شيء", one: "محددة واحدة", two: "محددتان", few: "# محددة", other: "# محددة" }),
    all: "تحديد الكل",
    end: "تم",
    row: (title) => `تحديد ${title}`,
    remove: (count) =>
      plural(count, {
        one: "حذف محادثة واحدة؟",
        two: "حذف محادثتين؟",
        few: "حذف # محادثات؟",
        other: "حذف # محادثة؟",
      }),
    removeText: "ستُحذف نهائيًا مع كل رسائلها، وتتوقف الإجابات التي تُكتب الآن.",
  },

  archive: {
    title: "الأرشيف",
    text: "المحادثات المؤرشفة لا تظهر في القائمة، لكن البحث يجدها.",
    none: "لا شيء في الأرشيف.",
    removeAll: "حذف الكل",
    removeAllTitle: "حذف كل ما في الأرشيف؟",
  },

  projects: {
    title: "المشاريع",
    make: "مشروع جديد",
    none: "بلا مشروع",
    edit: "تعديل المشروع",
    actions: (name) => `إجراءات المشروع ${name}`,
    name: "الاسم",
    instructions: "التعليمات",
    instructionsHint: "تُقال لكل نموذج قبل كل محادثة في المشروع، بعد تعليماتك أنت.",
    noInstructions: "لا تعليمات بعد.",
    submit: "حفظ",
    create: "إنشاء المشروع",
    newChat: "محادثة جديدة في هذا المشروع",
    chats: "محادثات المشروع",
    empty: "لا محادثات بعد. ابدأ واحدة هنا، أو انقل واحدة إلى هنا من قائمتها.",
    missing: "هذا المشروع غير موجود",
    newChatIn: (name) => `في المشروع ${name}`,
    leave: "الكتابة خارج المشروع",
    remove: "حذف المشروع",
    removeTitle: (name) => `حذف المشروع «${name}»؟`,
    removeText: "تبقى محادثاته خارج أي مشروع.",
    removeChats: "حذف محادثاته أيضًا",
    moveTitle: (count) =>
      plural(count, {
        one: "نقل المحادثة إلى",
        two: "نقل المحادثتين إلى",
        few: "نقل # محادثات إلى",
        other: "نقل # محادثة إلى",
      }),
  },

  find: {
    title: "البحث في المحادثات",
    placeholder: "ابحث في العناوين والرسائل",
    none: "لا شيء يحوي كل هذه الكلمات.",
    titles: "المحادثات",
    messages: "الرسائل",
    recent: "أحدث المحادثات",
    more: "عرض المزيد",
    failed: "فشل البحث.",
    archived: "مؤرشفة",
    count: (count) =>
      plural(count, {
        zero: "لا نتائج",
        one: "نتيجة واحدة",
        two: "نتيجتان",
        few: "# نتائج",
        other: "# نتيجة",
      }),
    hint: "علامتا الاقتباس تبحثان عن عبارة: \"هكذا\".",
  },
};
export default words;
