/** Arabic: what the server's error codes mean. */

import type en from "../en/errors";

const words: typeof en = {
  codes: {
    not_signed_in: "لم تسجّل الدخول.",
    wrong_password: "الاسم وكلمة المرور غير متطابقين.",
    wrong_own_password: "كلمة المرور غير صحيحة.",
    wrong_code: "الرمز غير صحيح أو سبق استخدامه.",
    wrong_passkey: "لم يُثبت مفتاح المرور هذا أنك أنت. أعد المحاولة أو سجّل الدخول بطريقة أخرى.",
    second_factor_setup_required: "على الجميع هنا تفعيل عامل تحقق ثانٍ.",
    second_factor_required: "أدخل رمز عامل التحقق الثاني.",
    provider_error: "فشل مزوّد الهوية.",
    account_disabled: "هذا الحساب معطَّل. يستطيع مالك أو مدير تفعيله.",
    too_many_attempts: "محاولات كثيرة جدًا. انتظر قليلًا ثم أعد المحاولة.",
    not_found: "هذا غير موجود أو لم يعد موجودًا.",
    conflict: "هذا يتعارض مع المحفوظ. أعد تحميل الصفحة.",
    refused: "هذا غير مسموح.",
    content_too_large: "هذا كبير جدًا.",
    context_length_exceeded: "هذا أكثر مما يستطيع النموذج قراءته دفعة واحدة. اختصره، أو ابدأ محادثة جديدة، أو اختر نموذجًا سياقه أطول.",
    invalid_request: "لا يستطيع الخادم قبول هذا الطلب.",
    invalid_value: "لا يستطيع الخادم قبول هذه القيمة.",
    unsupported_parameter: "هذا غير ممكن هنا.",
    model_not_found: "هذا النموذج غير موجود هنا. اختر غيره.",
    rate_limit_exceeded: "طلبات كثيرة في وقت قصير. انتظر قليلًا ثم أعد المحاولة.",
    insufficient_quota: "نفدت حصة اليوم.",
    engine_busy: "طلبات كثيرة تنتظر بالفعل. أعد المحاولة بعد لحظات.",
    engine_crashed: "توقف النموذج فجأة، ويُعاد تشغيله. أعد المحاولة.",
    engine_error: "فشلت الإجابة.",
    model_too_large: "لا تتسع الذاكرة لهذا النموذج. اختر نموذجًا أصغر.",
    server_stopping: "الخادم في طور التوقف.",
    disk_full: "قرص الخادم ممتلئ.",
    hub_error: "تعذّر جلب النموذج.",
    sources_unreachable: "تعذّر جلب النموذج: لم يستجب أي مصدر.",
    hash_mismatch: "ما وصل ليس النموذج المتوقع، وقد حُذف.",
    model_file_error: "ملف النموذج هذا غير صالح.",
    store_error: "تعذّر استخدام قاعدة البيانات.",
    store_unavailable: "قاعدة البيانات لا تستجيب حاليًا. ما حُفظ في أمان؛ أعد المحاولة بعد قليل.",
    internal_error: "حدث خطأ في الخادم.",
  },
};
export default words;
